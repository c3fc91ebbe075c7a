"""Annotation files, read into records, and class name files.

An annotation file holds one line for each image, in UTF-8; `annotation_line` has the grammar.
Only the text is looked at here; `annotation_check` opens the images as well. No file is changed.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yolov3.data.annotation_line import BOX_SHAPE, LineError, format_line, parse_line
from yolov3.files import read_bounded

__all__ = ["Problem", "Record", "format_line", "read_annotations", "read_class_names", "scan"]

ENCODING = "not UTF-8"
TOO_LONG = "line too long"
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
# More than any public data set has; they bound the memory that a file can ask for.
MAX_BYTES = 2**30
MAX_LINES = 10_000_000  # Open Images has 1.7 million images with boxes
MAX_LINE_BYTES = 2**20  # some 30,000 boxes in one image
MAX_NAMES_BYTES = 2**20  # the 80 names of COCO have 625


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
    more than MAX_LINES.
    """
    if max(content.count(b"\n"), content.count(b"\r")) > MAX_LINES:
        raise ValueError(f"{path}: expected at most {MAX_LINES:,} lines; received more")
    folder = os.path.dirname(os.path.abspath(path))
    records, problems = [], []
    for line, raw in _numbered_lines(content):
        try:
            text = _decode(raw)
            if text:
                image_path, boxes_xyxy, classes = parse_line(text, num_classes)
                image_path = os.path.join(folder, image_path)  # leaves an absolute path alone
                records.append(Record(image_path, boxes_xyxy, classes, line))
        except LineError as error:
            problems.append(Problem(error.kind, line, str(error)))
    if not records and not problems:
        raise ValueError(f"{path}: no annotated image; expected lines 'image_path {BOX_SHAPE}'")
    return records, problems


def read_class_names(path: str | Path) -> list[str]:
    """Read class names, one per line; blank lines, byte-order mark and line ends do not matter.

    Raises ValueError for a file that is missing, empty, too large or not UTF-8, and for a name that
    is given twice or cannot be printed.
    """
    lines: dict[str, int] = {}
    for line, raw in _numbered_lines(read_bytes(path, MAX_NAMES_BYTES)):
        try:
            name = _decode(raw)
        except LineError as error:
            raise ValueError(f"{path}:{line}: {error}") from None
        if not name.isprintable():
            raise ValueError(f"{path}:{line}: expected a class name; received {name!r:.80}")
        if name in lines:
            raise ValueError(
                f"{path}:{line}: expected a new class name; received {name!r} of line {lines[name]}"
            )
        if name:
            lines[name] = line
    if not lines:
        raise ValueError(f"{path}: expected one class name per line; received no name")
    return list(lines)


def read_bytes(path: str | Path, max_bytes: int = MAX_BYTES) -> bytes:
    """Read a whole text file, or raise ValueError naming it and the reason."""
    try:
        content = read_bounded(path, max_bytes)
    except OSError as error:
        raise ValueError(f"{path}: expected a text file; received {error.strerror}") from None
    if content.startswith(UTF16_BOMS):
        raise ValueError(f"{path}: expected UTF-8 text; received UTF-16 (save it as UTF-8)")
    return content


def _numbered_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    # bytes.splitlines knows \n, \r\n and \r only; that of str also splits at characters of paths.
    return enumerate(content.removeprefix(UTF8_BOM).splitlines(), start=1)


def _decode(raw: bytes) -> str:
    if len(raw) > MAX_LINE_BYTES:
        raise LineError(TOO_LONG, f"a line of at most {MAX_LINE_BYTES:,} bytes", len(raw))
    try:
        return raw.decode().strip()
    except UnicodeDecodeError as error:
        raise LineError(ENCODING, "UTF-8 text", raw[error.start : error.start + 8]) from None
