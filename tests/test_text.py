"""What is escaped in text for people, and what is not."""

import pytest

from yolov3.text import printable


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
