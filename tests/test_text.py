"""What is escaped in text for people, and which font draws which letters."""

from pathlib import Path

import pytest
from made_fonts import make_font

from yolov3.text import default_font, missing_letters, printable, split_by_font


@pytest.mark.parametrize(
    "text", ["猫 [red] \\n C:\\new", "می‌خواهم", "👩‍💻", "हिन्दी", "a\u3000b\u00a0c", "e\u0301"]
)
def test_letters_of_all_scripts_stay(text):
    assert printable(text) == text


def test_what_a_terminal_obeys_or_hides_is_escaped():
    text = "a\x00\x1b[31m\r\n\x7f\x9b\u200b\u2028\u202e\u2066\ufeff\udcff.png"
    escaped = r"a\x00\x1b[31m\r\n\x7f\x9b\u200b\u2028\u202e\u2066\ufeff\udcff.png"
    assert printable(text) == escaped and printable(escaped) == escaped
    assert printable("a\n\tb\r", keep="\n\t") == "a\n\tb\\r"


def files_of(text, **options):
    return [(part, Path(file).stem) for part, file in split_by_font(text, **options)]


def test_each_word_is_in_the_first_font_that_has_all_its_letters(installed_fonts, tmp_path):
    installed_fonts(
        make_font(tmp_path / "LastResort.ttf", "犬人口"),
        make_font(tmp_path / "A-Bold.ttf", "人"),
        make_font(tmp_path / "B.ttf", "人a"),
        make_font(tmp_path / "C.ttf", "⚽口", blank="人"),
        str(tmp_path / "gone.ttf"),
    )
    (tmp_path / "broken.ttf").write_text("no font")
    assert files_of("кошка é") == [("кошка é", "DejaVuSans")]
    assert files_of("人") == [("人", "B")] == files_of("人\ufe0f")
    assert files_of("人a red 口 ⚽") == [("人a ", "B"), ("red ", "DejaVuSans"), ("口 ⚽", "C")]
    assert (
        files_of("人口") == files_of("犬") == files_of(" ") == []
    )  # no single font; a placeholder
    assert files_of("n\u0303\x1b") == [("ñ\\x1b", "DejaVuSans")]


@pytest.mark.parametrize("name", ["قطة", "חתול", "a\u0328\u0301", "می‌خواهم"])
def test_letters_that_join_need_something_that_joins_them(name):
    assert split_by_font(name, shaped=True)[0][1] == default_font()
    assert split_by_font(name, shaped=False) == ()


def test_the_classes_without_letters_are_listed(installed_fonts, tmp_path):
    assert missing_letters(["cat", "人"]).endswith("of the names: class 1 is 人")
    installed_fonts(make_font(tmp_path / "B.ttf", "人"))
    assert missing_letters(["cat", "人"]) == ""
