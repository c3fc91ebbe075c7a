"""The types of values from JSON."""

from typing import get_args, get_origin


def is_a(value, kind) -> bool:
    """Tell whether a value has a type such as int, list[str] or dict[str, float].

    A whole number will do for a float; True and False are no numbers.
    """
    if kind is float:
        return type(value) in (int, float)
    origin = get_origin(kind)
    if origin is None:
        return type(value) is kind
    if type(value) is not origin:
        return False
    items, item_kind = value, get_args(kind)[0]
    if origin is dict:
        items, item_kind = value.values(), get_args(kind)[1]
    return all(is_a(item, item_kind) for item in items)
