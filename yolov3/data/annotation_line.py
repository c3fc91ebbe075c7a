"""The grammar of one annotation line: an image's path, then its boxes.

    image_path xmin,ymin,xmax,ymax,label_index xmin,ymin,xmax,ymax,label_index ...

Corners are pixels from the top left. A line without boxes is a background image. Where the path
ends (it may hold spaces, digits and commas):

1. A path with a known image extension ends at the last one that white space or the end of the
   line follows. Every word after it must be a box.
2. Any other path ends before the boxes at the right end of the line. A comma in a word that is left
   over and has no slash is taken for a broken box, because guessing would hide it in the path.
"""

import re
from pathlib import Path

import numpy as np

SYNTAX = "not a box"
NOT_A_NUMBER = "not a number"
BAD_CORNERS = "inverted or empty box"
BAD_CLASS = "class out of range"

MAX_EXACT = 2**24  # float32 holds every whole number up to here: larger ones are no pixels
SHOWN_CHARACTERS = 80  # of a bad word, in a message

_PATH = re.compile(
    r".*\.(?:bmp|dib|gif|jp2|jpe|jpeg|jpg|pbm|pgm|png|pnm|ppm|tif|tiff|webp)(?=\s|$)",
    re.IGNORECASE | re.DOTALL,
)
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_LABEL = r"[+-]?[0-9]+(?:\.0*)?"
_BOX = re.compile(rf"(?:{_NUMBER},){{4}}{_LABEL}")
BOX_SHAPE = "xmin,ymin,xmax,ymax,label"


class LineError(ValueError):
    """A line that cannot be read, with the kind of its first fault."""

    def __init__(self, kind: str, expected: str, received: object):
        shown = repr(received)
        if len(shown) > SHOWN_CHARACTERS:
            shown = shown[:SHOWN_CHARACTERS] + "..."
        super().__init__(f"expected {expected}; received {shown}")
        self.kind = kind


def parse_line(text: str, num_classes: int | None = None) -> tuple[str, np.ndarray, np.ndarray]:
    """Split a line into path, boxes_xyxy (N, 4) float32 and classes (N,) int32, or raise LineError.

    `num_classes=None` leaves the upper end of the class range open.
    """
    image_path, words = _split_line(text.strip())
    if not words:
        return image_path, np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    table = np.array([_parse_box(word, num_classes) for word in words], np.float32)  # (N, 5)
    boxes_xyxy = table[:, :4].copy()
    empty = (boxes_xyxy[:, 2:] <= boxes_xyxy[:, :2]).any(axis=1)  # also after rounding to float32
    if empty.any():
        raise LineError(BAD_CORNERS, "xmin < xmax and ymin < ymax", words[int(empty.argmax())])
    return image_path, boxes_xyxy, table[:, 4].astype(np.int32)


def format_line(image_path: str | Path, boxes_xyxy: np.ndarray, classes: np.ndarray) -> str:
    """Write one line (no line end) from boxes (N, 4) in pixels and classes (N,).

    Raises ValueError for what could not be read back: inverted boxes, negative classes, a path with
    a line break or one that is not UTF-8, or commas in a path without an image extension.
    """
    words = [str(image_path)]
    for box, label in zip(np.asarray(boxes_xyxy, np.float32), classes, strict=True):
        corners = [np.format_float_positional(corner, trim="-") for corner in box]
        words.append(",".join([*corners, str(label)]))
    line = " ".join(words)
    try:
        line.encode()
    except UnicodeEncodeError:
        raise LineError(SYNTAX, "a path in UTF-8", words[0]) from None
    # A leading U+FEFF would be taken for the byte-order mark of the file.
    if parse_line(line)[0] != words[0] or line.startswith("\ufeff"):
        raise LineError(SYNTAX, "a path that can be read back from its line", words[0])
    return line


def _split_line(text: str) -> tuple[str, list[str]]:
    """Split a stripped line into its path and the words after it, by the rule on top."""
    match = _PATH.match(text)
    if match:
        image_path, words = match[0], text[match.end() :].split()
    else:
        image_path, words = _split_from_the_right(text)
    if not image_path or any(character in image_path for character in "\0\r\n"):
        raise LineError(SYNTAX, f"'image_path {BOX_SHAPE} ...'", text)
    return image_path, words


def _split_from_the_right(text: str) -> tuple[str, list[str]]:
    path_words = list(re.finditer(r"\S+", text))
    words = []
    while path_words and _BOX.fullmatch(path_words[-1][0]):
        words.append(path_words.pop()[0])
    left_over = [match[0] for match in path_words[1:]]
    box_like = [word for word in left_over if "," in word and not set(word) & {"/", "\\"}]
    if box_like:
        broken = [word for word in box_like if not _BOX.fullmatch(word)]
        raise _explain((broken or left_over[-1:])[0])
    return text[: path_words[-1].end()] if path_words else "", words[::-1]


def _parse_box(word: str, num_classes: int | None) -> list[float]:
    if not _BOX.fullmatch(word):
        raise _explain(word)
    values = [float(field) for field in word.split(",")]
    if max(map(abs, values[:4])) > MAX_EXACT:
        raise LineError(NOT_A_NUMBER, f"coordinates of at most {MAX_EXACT}", word)
    last = (MAX_EXACT if num_classes is None else num_classes) - 1
    if not 0 <= values[4] <= last:
        raise LineError(BAD_CLASS, f"a label in [0, {last}]", word)
    return values


def _explain(word: str) -> LineError:
    """Say why a word is not a box."""
    fields = word.split(",")
    if len(fields) != 5:
        return LineError(SYNTAX, BOX_SHAPE, word)
    if all(re.fullmatch(_NUMBER, field) for field in fields):
        return LineError(BAD_CLASS, f"a whole number as the label of {BOX_SHAPE}", word)
    return LineError(NOT_A_NUMBER, f"{BOX_SHAPE} as numbers", word)
