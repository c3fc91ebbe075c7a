"""What is escaped in text for people, how numbers read, and which font draws which letters."""

from pathlib import Path

import pytest
from made_fonts import make_font

from yolov3.text import counted, default_font, format_seconds, in_font, missing_letters, printable


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


def test_durations_and_numbers_read_as_people_say_them():
    durations = [format_seconds(seconds) for seconds in (0.4, 59.6, 200, 7500)]
    assert durations == ["0 s", "1 min 0 s", "3 min 20 s", "2 h 5 min"]
    numbers = [counted(1, "box"), counted(2, "box"), counted(1000, "image"), counted(0, "class")]
    assert numbers == ["1 box", "2 boxes", "1,000 images", "0 classes"]


def font_of(text):
    lettering = in_font(text)
    return lettering and (lettering[0], Path(lettering[1]).stem)


def test_a_text_is_in_the_first_font_that_has_all_its_letters(installed_fonts, tmp_path):
    installed_fonts(
        make_font(tmp_path / "LastResort.ttf", "犬人口"),
        make_font(tmp_path / "B.ttf", "人a"),
        make_font(tmp_path / "C.ttf", "⚽口"),
        make_font(tmp_path / "D.ttf", "犬", blank=""),  # without the digits of a score
        str(tmp_path / "gone.ttf"),
    )
    (tmp_path / "broken.ttf").write_text("no font")
    assert font_of("кошка é") == ("кошка é", "DejaVuSans")
    assert font_of("人") == ("人", "B") == font_of("人\ufe0f")
    assert font_of("口 ⚽") == ("口 ⚽", "C")
    assert font_of("人口") is font_of("犬") is font_of(" ") is None
    assert font_of("n\u0303\x1b") == ("ñ\\x1b", "DejaVuSans")


@pytest.mark.parametrize("name", ["قطة", "חתול", "a\u0328\u0301", "می‌خواهم"])
def test_letters_that_join_need_something_that_joins_them(name):
    assert in_font(name, shaped=True)[1] == default_font()
    assert in_font(name, shaped=False) is None


def test_the_classes_without_letters_are_listed(installed_fonts, tmp_path):
    assert missing_letters(["cat", "人"]).endswith("of the names: class 1 is 人")
    installed_fonts(make_font(tmp_path / "B.ttf", "人"))
    assert missing_letters(["cat", "人"]) == ""
