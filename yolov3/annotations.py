"""Annotation files: the grammar of a line, and how a file is read.

An annotation file is UTF-8 text with a line for each image:

    image_path xmin,ymin,xmax,ymax,label_index xmin,ymin,xmax,ymax,label_index ...

Corners are pixels from the top left. A line without boxes is a background image. Where the path
ends (it may hold spaces, digits and commas):

1. A path with a known image extension ends at the last one that white space or the end of the
   line follows. Every word after it must be a box.
2. Any other path ends before the boxes at the right end of the line. A comma in a word that is left
   over and has no slash is taken for a broken box, because guessing would hide it in the path.

Only the text is looked at; `data.annotation_check` opens the images too. No file is changed.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yolov3.files import read_bounded
from yolov3.images import IMAGE_SUFFIXES

SYNTAX = "not a box"
NOT_A_NUMBER = "not a number"
BAD_CORNERS = "inverted or empty box"
BAD_CLASS = "class out of range"
ENCODING = "not UTF-8"

BOX_SHAPE = "xmin,ymin,xmax,ymax,label"
_SUFFIXES = "|".join(map(re.escape, sorted(IMAGE_SUFFIXES)))
_PATH = re.compile(rf".*(?:{_SUFFIXES})(?=\s|$)", re.IGNORECASE | re.DOTALL)
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_LABEL = r"[+-]?[0-9]+(?:\.0*)?"
_BOX = re.compile(rf"(?:{_NUMBER},){{4}}{_LABEL}")

UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
# Other formats, which `tools/convert.py` reads, by how their files begin.
OTHER_FORMATS = {
    ("JSON", "coco"): re.compile(rb"\s*(?:\{\s*\"|\[\s*\{)"),
    ("XML", "voc"): re.compile(rb"\s*<(?:\?xml|annotation)\b"),
    ("YAML", "yolo"): re.compile(rb"(?:\s*#.*\n)*\s*(?:path|train|val|test|nc|names)\s*:"),
}
MAX_BYTES = 2**30  # more than any public data set has; a bound of the memory that a file takes
MAX_EXACT = 2**24  # float32 holds every whole number up to here: larger ones are no pixels


@dataclass(frozen=True)
class Record:
    """One annotated image and its 1-based line number in the annotation file."""

    image_path: str  # absolute
    boxes_xyxy: np.ndarray  # (N, 4) float32, pixels
    classes: np.ndarray  # (N,) int32
    line: int


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with one line (1-based); the message ends in what was received."""

    kind: str
    line: int
    message: str


class LineError(ValueError):
    """A line that cannot be read, with the kind of its first fault."""

    def __init__(self, kind: str, expected: str, received: object):
        super().__init__(f"expected {expected}; received {received!r:.80}")
        self.kind = kind


def read_annotations(
    path: str | Path, num_classes: int | None = None, skip_bad: bool = False
) -> list[Record]:
    """Read every annotated image of a file, in its order; relative paths start at its folder.

    Raises ValueError naming file, line and value for the first bad line (with `skip_bad` only if
    all are bad), and for a file that is missing or holds no annotated image. The images are
    not opened.
    """
    records, problems = scan(read_bytes(path), path, num_classes)
    if problems and not (skip_bad and records):
        raise ValueError(f"{path}:{problems[0].line}: {problems[0].message}")
    return records


def scan(
    content: bytes, path: str | Path, num_classes: int | None = None
) -> tuple[list[Record], list[Problem]]:
    """Read the good lines of an annotation file as records, and the bad ones as one problem each.

    `content` are the bytes of the file at `path`. Raises ValueError if all lines are blank, and for
    another format.
    """
    for (kind, name), start in OTHER_FORMATS.items():
        if start.match(content.removeprefix(UTF8_BOM)):
            hint = f"convert it: python tools/convert.py --from {name}"
            raise ValueError(f"{path}: this is {kind}, no annotation file; {hint}")
    folder = os.path.dirname(os.path.abspath(path))
    records, problems = [], []
    for line, raw in numbered_lines(content):
        try:
            text = decode_line(raw)
            if text:
                image_path, boxes_xyxy, classes = parse_line(text, num_classes)
                image_path = os.path.join(folder, image_path)  # leaves an absolute path alone
                records.append(Record(image_path, boxes_xyxy, classes, line))
        except LineError as error:
            problems.append(Problem(error.kind, line, str(error)))
    if not records and not problems:
        raise ValueError(f"{path}: no annotated image; expected lines 'image_path {BOX_SHAPE}'")
    return records, problems


def read_bytes(path: str | Path, max_bytes: int = MAX_BYTES, utf16: bool = False) -> bytes:
    """Read a text file, or raise ValueError naming it and the reason, as UTF-16 unless `utf16`."""
    try:
        content = read_bounded(path, max_bytes)
    except IsADirectoryError:
        raise ValueError(f"{path}: this is a folder, not a file") from None
    except OSError as error:
        raise ValueError(f"{path}: expected a text file; received {error.strerror}") from None
    if content.startswith(UTF16_BOMS) and not utf16:
        raise ValueError(f"{path}: expected UTF-8 text; received UTF-16 (save it as UTF-8)")
    return content


def numbered_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the lines of a text file, numbered from 1."""
    # bytes.splitlines knows \n, \r\n and \r only; that of str also splits at characters of paths.
    return enumerate(content.removeprefix(UTF8_BOM).splitlines(), start=1)


def decode_line(raw: bytes) -> str:
    """Return a line as stripped text. Raises LineError if it is not UTF-8."""
    try:
        return raw.decode().strip()
    except UnicodeDecodeError as error:
        raise LineError(ENCODING, "UTF-8 text", raw[error.start : error.start + 8]) from None


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

    Raises ValueError for what could not be read back: inverted boxes, negative classes, a path that
    is not UTF-8 or has a line break, or commas in a path without an image extension.
    """
    words = [str(image_path)]
    for box, label in zip(np.asarray(boxes_xyxy, np.float32), classes, strict=True):
        words.append(f"{box_text(box)},{label}")
    line = " ".join(words)
    # A file name of other bytes has no UTF-8; a leading U+FEFF is taken for a byte-order mark.
    read_back = line.encode(errors="ignore").decode("utf-8-sig")
    if parse_line(read_back)[0] != words[0]:
        raise LineError(SYNTAX, "a path in UTF-8 that can be read back from its line", words[0])
    return line


def stack_boxes(records: list[Record]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the boxes of all records as (image_index (M,), boxes_xyxy (M, 4), classes (M,)).

    `image_index` is the index of a box's record; boxes stay in order.
    """
    image_index = np.repeat(np.arange(len(records)), [len(record.classes) for record in records])
    boxes_xyxy = np.concatenate([np.zeros((0, 4), np.float32), *(r.boxes_xyxy for r in records)])
    classes = np.concatenate([np.zeros(0, np.int32), *(record.classes for record in records)])
    return image_index, boxes_xyxy, classes


def number_text(value: float) -> str:
    """Write a number with the fewest digits that read back as the same: 12, 12.5."""
    return np.format_float_positional(value, trim="-")


def box_text(box_xyxy: np.ndarray) -> str:
    """Write the corners of a box as annotation files do: 1,2.5,30,40."""
    return ",".join(map(number_text, box_xyxy))


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
