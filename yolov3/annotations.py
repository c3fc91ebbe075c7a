"""Annotation files: UTF-8 text with a line for each image.

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yolov3.files import read_bytes
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
_BOX = re.compile(rf"(?:{_NUMBER},){{4}}[+-]?[0-9]+(?:\.0*)?")
# Nearly all lines are of a narrower form, which takes a tenth of the time.
_PLAIN_NUMBER = r"[0-9]{1,8}+(?:\.[0-9]*+|)"
_PLAIN_BOXES = rf"(?: {f'{_PLAIN_NUMBER},' * 4}[0-9]{{1,8}}+)*+"
_PLAIN_LINE = re.compile(rf"([^\0]*(?:{_SUFFIXES}))({_PLAIN_BOXES})", re.IGNORECASE)

UTF8_BOM = b"\xef\xbb\xbf"
# Other formats, which `tools/convert.py` reads, by how their files begin.
OTHER_FORMATS = {
    ("JSON", "coco"): re.compile(rb"\s*(?:\{\s*\"|\[\s*\{)"),
    ("XML", "voc"): re.compile(rb"\s*<(?:\?xml|annotation)\b"),
    ("YAML", "yolo"): re.compile(rb"(?:\s*#.*\n)*\s*(?:path|train|val|test|nc|names)\s*:"),
}
MAX_EXACT = 2**24  # float32 holds every whole number up to here: larger ones are no pixels


@dataclass(frozen=True)
class Record:
    """One annotated image and its 1-based line number in the annotation file."""

    image_path: str  # absolute
    boxes_xyxy: np.ndarray  # (N, 4) float32, pixels
    classes: np.ndarray  # (N,) int32
    line: int


@dataclass(frozen=True, eq=False)
class Records(Sequence):
    """The R images of a file with M boxes, as arrays: a million images take some 200 MB.

    `records[index]` is a `Record`, a slice is a list of them.
    """

    image_paths: np.ndarray  # (R,) str, absolute
    lines: np.ndarray  # (R,) int, from 1
    starts: np.ndarray  # (R + 1,) int: image i has the boxes [starts[i], starts[i + 1])
    boxes_xyxy: np.ndarray  # (M, 4) float32, pixels
    classes: np.ndarray  # (M,) int32

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index):
        place = range(len(self))[index]
        if isinstance(place, range):
            return [self[one] for one in place]
        boxes = slice(*self.starts[place : place + 2].tolist())
        of_image = self.image_paths[place], self.boxes_xyxy[boxes], self.classes[boxes]
        return Record(*of_image, int(self.lines[place]))

    @property
    def image_index(self) -> np.ndarray:
        """The index (M,) of each box's image."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def select(self, is_kept: np.ndarray) -> "Records":
        """Return the images for which `is_kept` (R,) is True."""
        if is_kept.all():
            return self
        boxes, counts = is_kept[self.image_index], np.diff(self.starts)[is_kept]
        of_images = self.image_paths[is_kept], self.lines[is_kept], _starts(counts)
        return Records(*of_images, self.boxes_xyxy[boxes], self.classes[boxes])


@dataclass(frozen=True, slots=True)
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
    path: str | Path, num_classes: int = MAX_EXACT, skip_bad: bool = False
) -> Records:
    """Read every annotated image of a file, in its order; relative paths start at its folder.

    Raises ValueError naming file, line and value for the first bad line (with `skip_bad` only if
    all are bad), and for a file that is missing or holds no annotated image. The images are
    not opened.
    """
    records, problems = scan(read_bytes(path), path, num_classes)
    if problems and not (skip_bad and records):
        raise ValueError(f"{path}:{problems[0].line}: {problems[0].message}")
    return records


def scan(content: bytes, path, num_classes: int = MAX_EXACT) -> tuple[Records, list[Problem]]:
    """Read the good lines of an annotation file as records, and the bad ones as one problem each.

    `content` are the bytes of the file at `path`. Raises ValueError if all lines are blank, and for
    another format.
    """
    for (kind, name), start in OTHER_FORMATS.items():
        if start.match(content.removeprefix(UTF8_BOM)):
            hint = f"convert it: python tools/convert.py --from {name}"
            raise ValueError(f"{path}: this is {kind}, no annotation file; {hint}")
    folder = os.path.join(os.path.dirname(os.path.abspath(path)), "")
    image_paths, lines, texts, problems = [], [], [], []
    for line, raw in numbered_lines(content):
        try:
            if text := decode_line(raw):
                image_path, boxes = _path_and_boxes(text, num_classes)
                image_paths.append(image_path if image_path[0] == os.sep else folder + image_path)
                lines.append(line)
                texts.append(boxes)
        except LineError as error:
            problems.append(Problem(error.kind, line, str(error)))
    if not lines and not problems:
        raise ValueError(f"{path}: no annotated image; expected lines 'image_path {BOX_SHAPE}'")
    starts, *boxes, is_good = _parse_boxes(texts, num_classes)
    records = Records(np.array(image_paths, object), np.array(lines, int), starts, *boxes)
    for index in np.flatnonzero(~is_good):
        try:
            parse_line("x.jpg" + texts[index], num_classes)  # says what is wrong
        except LineError as error:
            problems.append(Problem(error.kind, lines[index], str(error)))
    problems.sort(key=lambda problem: problem.line)
    return records.select(is_good), problems


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


def parse_line(text: str, num_classes: int = MAX_EXACT) -> tuple[str, np.ndarray, np.ndarray]:
    """Split a line into path, boxes_xyxy (N, 4) float32 and classes (N,), or raise LineError."""
    image_path, words = _split_line(text.strip())
    table = np.array([_parse_box(word, num_classes) for word in words], np.float32).reshape(-1, 5)
    boxes_xyxy = table[:, :4].copy()
    if (is_empty := _is_empty(boxes_xyxy)).any():
        raise LineError(BAD_CORNERS, "xmin < xmax and ymin < ymax", words[int(is_empty.argmax())])
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


def stack_boxes(records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the boxes of all records as (image_index (M,), boxes_xyxy (M, 4), classes (M,))."""
    if isinstance(records, Records):
        return records.image_index, records.boxes_xyxy, records.classes
    image_index = np.repeat(np.arange(len(records)), [len(record.classes) for record in records])
    boxes_xyxy = np.concatenate([np.zeros((0, 4), np.float32), *(r.boxes_xyxy for r in records)])
    classes = np.concatenate([np.zeros(0, np.int32), *(record.classes for record in records)])
    return image_index, boxes_xyxy, classes


def box_text(box_xyxy: np.ndarray) -> str:
    """Write the corners of a box with the fewest digits that read back as the same: 1,2.5,30,40."""
    return ",".join(np.format_float_positional(value, trim="-") for value in box_xyxy)


def _path_and_boxes(text: str, num_classes: int) -> tuple[str, str]:
    """Split a stripped line into its path and its boxes, each after a space, or raise LineError."""
    if plain := _PLAIN_LINE.fullmatch(text):
        return plain.groups()
    image_path = parse_line(text, num_classes)[0]
    return image_path, "".join(f" {word}" for word in text[len(image_path) :].split())


def _parse_boxes(texts: list[str], num_classes: int) -> tuple[np.ndarray, ...]:
    """Return starts, boxes_xyxy and classes as `Records` has them, and is_good (R,).

    `texts` has the boxes of R images, each after a space. One with a bad box is not good.
    """
    starts = _starts([text.count(" ") for text in texts])
    fields = "".join(texts)[1:].replace(" ", ",")
    kind = float if any(mark in fields for mark in ".eE") else int  # which is read in a third
    table = (np.fromstring(fields, kind, sep=",") if fields else np.zeros(0)).reshape(-1, 5)
    boxes_xyxy = table[:, :4].astype(np.float32)
    is_bad = (table > [*[MAX_EXACT] * 4, num_classes - 1]).any(axis=1)
    bad = np.flatnonzero(is_bad | _is_empty(boxes_xyxy))
    is_good = np.ones(len(texts), bool)
    is_good[np.searchsorted(starts, bad, side="right") - 1] = False
    return starts, boxes_xyxy, table[:, 4].astype(np.int32), is_good


def _is_empty(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Tell which boxes (M, 4) have no area, rounded to float32 as they are."""
    return (boxes_xyxy[:, 2:] <= boxes_xyxy[:, :2]).any(axis=1)


def _starts(counts) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts, dtype=int)])


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


def _parse_box(word: str, num_classes: int) -> list[float]:
    if not _BOX.fullmatch(word):
        raise _explain(word)
    values = [float(field) for field in word.split(",")]
    if max(map(abs, values[:4])) > MAX_EXACT:
        raise LineError(NOT_A_NUMBER, f"coordinates of at most {MAX_EXACT}", word)
    if not 0 <= values[4] < num_classes:
        raise LineError(BAD_CLASS, f"a label in [0, {num_classes - 1}]", word)
    return values


def _explain(word: str) -> LineError:
    """Say why a word is not a box."""
    fields = word.split(",")
    if len(fields) != 5:
        return LineError(SYNTAX, BOX_SHAPE, word)
    if all(re.fullmatch(_NUMBER, field) for field in fields):
        return LineError(BAD_CLASS, f"a whole number as the label of {BOX_SHAPE}", word)
    return LineError(NOT_A_NUMBER, f"{BOX_SHAPE} as numbers", word)
