"""JSON objects from disk, and the types of what is in them."""

import json
from pathlib import Path
from typing import get_args, get_origin

from yolov3.files import read_bounded

MAX_BYTES = 8 << 20  # ten thousand class names of 800 letters; parsed, JSON takes 20 times its size
MAX_DIGITS = 18  # of a whole number that fits into 64 bits


def read_object(path) -> dict:
    """Read a JSON object of at most 8 MiB. Raises ValueError for anything else.

    An object with a name given twice is something else: other readers may take the other value.
    """
    name = Path(path).name
    try:
        content = read_bounded(path, MAX_BYTES).decode()
        value = json.loads(content, object_pairs_hook=_object, parse_int=_whole_number)
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror}") from None
    except RecursionError:
        raise ValueError(f"{name} that is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{name} with {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{name} that holds {value!r:.80}")
    return value


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


def _object(pairs):
    content = {}
    for name, value in pairs:
        if name in content:
            raise ValueError(f"{name!r:.80} given twice")
        content[name] = value
    return content


def _whole_number(digits):
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)
