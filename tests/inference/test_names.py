"""Names of outputs: safe, short enough, and no two the same on any file system."""

import os
import unicodedata
from pathlib import Path

import pytest

from yolov3.inference.names import own_names, safe_name

E_ACUTE = ("\u00e9", "e\u0301")  # one letter in two normal forms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b", "a_b"),
        ('a\\b:c*d?e"f<g>h|i', "a_b_c_d_e_f_g_h_i"),
        ("tab\tline\nesc\x1b[31m\0", "tab_line_esc_[31m_"),
        ("--rf", "rf"),
        ("..", ""),
        (" . ", ""),
        ("../../etc", "_.._etc"),
        ("dots and blanks. . ", "dots and blanks"),
        ("\U0001f600 \u732b", "\U0001f600 \u732b"),
        ("\udcff\ud800", "__"),
    ],
)
def test_any_text_becomes_a_name(text, expected):
    assert safe_name(text) == expected


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u732b", "\U0001f600"])
def test_a_name_fits_and_long_ones_stay_different(letter):
    one, other = safe_name(letter * 300), safe_name(letter * 301)
    assert one != other and {len(one.encode()) > 235, len(one.encode()) <= 255} == {True}
    assert one.startswith(letter * 50) and one == safe_name(letter * 300)


def test_names_that_some_file_system_holds_for_the_same_get_numbers():
    wanted = ["a", "A", *E_ACUTE, E_ACUTE[0].upper(), "stra\u00dfe", "STRASSE"]
    names = own_names(map(Path, wanted))
    seen = {unicodedata.normalize("NFC", str(name)).casefold() for name in names}
    assert len(seen) == len(wanted) and names[0] == Path("a")
    assert names == own_names(map(Path, wanted))


def test_numbers_do_not_make_a_name_too_long():
    names = own_names([Path("x" * 255)] * 20)
    assert len(set(names)) == 20 and max(len(os.fsencode(name)) for name in names) == 255


def test_many_equal_names_are_numbered_quickly():
    assert own_names([Path("x")] * 20_000)[-1] == Path("x-20000")
