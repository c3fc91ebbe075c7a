"""How a setting is declared, what it must fulfil, and the recipes: what it is unless chosen."""

import contextlib
import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

from yolov3.files import is_a

# Of YOLOv3 and of YOLOv3-tiny; what a recipe does not name has the default of `Config`.
RECIPES = {
    "digits": {  # what the tutorial's 1,000 scenes need: docs/recipe.md
        "train_epochs": (6, 15),
        "train_lr_init": (1.5e-3, 1e-3),  # the shorter a run, the higher
        "augment_mosaic": (1.0, 1.0),
    },
    "images": {  # some hundred photographs, from trained weights or from scratch
        "train_epochs": (60, 100),
        "train_lr_init": (1e-3, 1e-3),
        "augment_flip": (0.5, 0.5),
        "augment_scale": (0.5, 0.5),
        "augment_translate": (0.1, 0.1),
        "augment_hue": (0.015, 0.015),
        "augment_saturation": (0.7, 0.7),
        "augment_value": (0.4, 0.4),
        "augment_mosaic": (1.0, 0.5),
        "augment_close": (0.15, 0.15),
    },
}

SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Rule(NamedTuple):
    """What a setting must fulfil beyond its type."""

    expected: str
    holds: Callable


AT_LEAST_0 = Rule("at least 0", lambda value: 0 <= value < math.inf)
AT_LEAST_1 = Rule("at least 1", lambda value: 1 <= value < math.inf)
ABOVE_0 = Rule("more than 0", lambda value: 0 < value < math.inf)
FRACTION = Rule("0 to 1", lambda value: 0 <= value <= 1)
PART = Rule("more than 0, up to 1", lambda value: 0 < value <= 1)
BELOW_1 = Rule("0 to below 1", lambda value: 0 <= value < 1)
FRACTIONS = Rule("fractions above 0 up to 1", lambda xs: xs and all(0 < x <= 1 for x in xs))
MULTIPLES = Rule("numbers above 0 up to 2", lambda xs: xs and all(0 < x <= 2 for x in xs))
A_FILE = Rule("the path of a file", bool)


class Default:
    """Mark a value as a default, which another network or recipe replaces by its own."""


_MARKED = {kind: type(kind.__name__, (kind, Default), {}) for kind in (int, float, tuple)}


def marked(value):
    """Return a number or tuple marked as a default, anything else as it is."""
    return _MARKED.get(type(value), lambda value: value)(value)


def setting(default, text: str, rule: Rule | None = None, choices=None):
    """Declare a setting: default, text in `--help`, and what it must fulfil.

    The default None stands for one that depends on the network or on other settings.
    """
    if choices:
        rule = Rule(f"one of {', '.join(choices)}", choices.__contains__)
    metadata = {"help": text, "rule": rule, "choices": choices}
    return dataclasses.field(default=marked(default), metadata=metadata)


def default_of(field: dataclasses.Field, recipe: str, tiny: bool):
    """Return what a setting is unless chosen."""
    pair = RECIPES.get(str(recipe), {}).get(field.name)
    return pair[bool(tiny)] if pair else field.default


def from_text(field: dataclasses.Field, value):
    """Return the value of a setting as a file has it: text, or lists of it at any depth.

    What is no value of its type stays text, for `check` to refuse.
    """
    if isinstance(value, list):
        return tuple(from_text(field, one) for one in value)
    if field.type is bool:
        return SWITCHES.get(str(value).lower(), value)
    if field.type is not str and isinstance(value, str):
        with contextlib.suppress(ValueError):
            return int(value) if value.isdecimal() else float(value)
    return value


def check(field: dataclasses.Field, value) -> None:
    """Raise ValueError unless a setting may have this value."""
    rule = field.metadata["rule"]
    if not is_a(value, field.type):
        refuse(field.name, getattr(field.type, "__name__", field.type), value)
    if rule and not rule.holds(value):
        refuse(field.name, rule.expected, value)


def refuse(name: str, expected: str, value) -> None:
    """Raise ValueError for the value of a setting."""
    raise ValueError(f"{name}: expected {expected}; received {value!r:.80}")
