"""Numbers of annotation files: what counts as one, and that text reads back as the same."""

import numpy as np
import pytest

from yolov3.formats.numbers import is_coordinate, number_text, parse_number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, True),
        (-2.5, True),
        (2**24, True),
        (2**24 + 1, False),
        (float("nan"), False),
        (float("inf"), False),
        (10**400, False),
        (True, False),
        ("1", False),
        (None, False),
    ],
)
def test_coordinates_are_finite_numbers_of_some_pixels(value, expected):
    assert is_coordinate(value) is expected


def test_numbers_are_decimal():
    assert parse_number(" 1e2 ", "a:1") == 100
    for text in ("1_0", "nan", "1e999", "0x1", "", "12,5"):
        with pytest.raises(ValueError, match=f"^a:1: expected a number; received '{text}'$"):
            parse_number(text, "a:1")


@pytest.mark.parametrize(("value", "text"), [(12.0, "12"), (12.5, "12.5"), (1e-7, "0.0000001")])
def test_text_is_short_and_reads_back(value, text):
    assert number_text(value) == text
    assert float(number_text(np.float64(value))) == value
