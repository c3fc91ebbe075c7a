"""JSON objects from disk, and the types of what is in them."""

import json
from pathlib import Path
from typing import get_args, get_origin


def read_object(path) -> dict:
    """Read a JSON object. Raises ValueError for other content, OSError for an unreadable file."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{Path(path).name} that is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError(f"{Path(path).name} that holds {content!r:.80}")
    return content


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
