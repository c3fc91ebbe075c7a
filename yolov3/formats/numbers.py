"""Numbers of annotation files, as text and back."""

import math

import numpy as np

from yolov3.annotations import MAX_EXACT


def is_coordinate(value: object) -> bool:
    """Tell whether a value is a number that can be a coordinate: finite and not absurdly large."""
    return type(value) in (int, float) and -MAX_EXACT <= value <= MAX_EXACT  # False for NaN


def parse_number(text: str, where: str) -> float:
    """Read a finite decimal number, or raise ValueError; `where` starts its message."""
    try:
        number = float(text) if "_" not in text else math.nan  # Python would read 1_0 as 10
    except ValueError:
        number = math.nan
    if not is_coordinate(number):
        raise ValueError(f"{where}: expected a number; received {text[:80]!r}")
    return number


def number_text(value: float) -> str:
    """Write a number with the fewest digits that read back as the same: 12, 12.5."""
    return np.format_float_positional(value, trim="-")
