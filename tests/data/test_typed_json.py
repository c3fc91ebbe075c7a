"""The types of values from JSON."""

import pytest

from yolov3.data.typed_json import is_a


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, int, True),
        (1.0, int, False),
        (True, int, False),
        (True, bool, True),
        (1, float, True),
        (True, float, False),
        ("1", float, False),
        (None, str, False),
        (["a", "b"], list[str], True),
        (["a", 1], list[str], False),
        ([], list[str], True),
        ("ab", list[str], False),
        ({"a": 1, "b": 0.5}, dict[str, float], True),
        ({"a": None}, dict[str, float], False),
        ((0.5, 1), tuple[float, ...], True),
        ((0.5, "1"), tuple[float, ...], False),
        ([0.5], tuple[float, ...], False),
    ],
)
def test_a_value_is_of_a_type_or_not(value, kind, expected):
    assert is_a(value, kind) is expected
