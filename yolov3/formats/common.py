"""Common to all formats: text files, numbers, and the log of a conversion."""

import math
import os
import re
from collections.abc import Collection
from pathlib import Path

from yolov3.annotations import MAX_EXACT
from yolov3.files import UTF16_BOMS, read_bytes
from yolov3.folder_search import find_files
from yolov3.text import counted, printable, require

EXAMPLES = 3  # shown of each reason
IMAGES_HINT = "--images says where those of voc, coco and yolo are"
DECLARATION = re.compile(
    rb"""(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)["']""", re.ASCII
)


class ConversionLog:
    """Drops and changes of a conversion, counted by reason, with the first examples of each.

    `faults` are the files, or elements of a file, that could not be read, a sentence each.
    """

    def __init__(self):
        self.faults: list[str] = []
        self._left_out: dict[str, None] = {}  # each note once, in the order of appearance
        # Counts and examples by action, thing and reason, in the order of appearance.
        self._notes: dict[tuple[str, str, str], tuple[int, list[str]]] = {}

    def add(self, action: str, thing: str, reason: str, examples: list[str], count=None) -> None:
        """Log that `action` ("dropped") befell `thing` ("box") for a reason, once per example.

        `count` says how often where there are fewer examples than that.
        """
        count = len(examples) if count is None else count
        if count:
            before, shown = self._notes.get((action, thing, reason), (0, []))
            shown += examples[: EXAMPLES + 1 - len(shown)]  # one more tells that there are others
            self._notes[action, thing, reason] = before + count, shown

    def bad(self, fault: object) -> None:
        """Log a file or element that cannot be read; `fault` names it and says why."""
        self.faults.append(str(fault))

    def search(self, folder: Path, suffixes: Collection[str]) -> list[Path]:
        """Return the files below a folder as `find_files`, and log what was left out."""
        found = find_files(folder, suffixes)
        for note in found.left_out:
            note = f"{note} in {folder}" if note[0].isdigit() else note
            self._left_out[note.replace(f"{Path.cwd()}{os.sep}", "")] = None
        return found.files

    def __str__(self) -> str:
        lines = []
        if self._left_out:
            lines.append(f"skipped in the search: {_examples(list(self._left_out))}")
        for (action, thing, reason), (count, examples) in self._notes.items():
            shown = f": {_examples(examples)}" if examples else ""
            lines.append(f"{action} {counted(count, thing)}, {reason}{shown}")
        return "\n".join(lines)


def _examples(texts: list[str]) -> str:
    shown = printable("; ".join(texts[:EXAMPLES]))
    return f"{shown} ..." if len(texts) > EXAMPLES else shown


def read_text(path: Path) -> str:
    """Read a text file as UTF-8, UTF-16 with a byte-order mark, or as its XML declaration says.

    Raises ValueError naming the file.
    """
    content = read_bytes(path, utf16=True)
    declared = DECLARATION.match(content)
    encoding = declared[1].decode() if declared else "UTF-8"
    if content.startswith(UTF16_BOMS):
        encoding = "UTF-16"
    elif encoding.upper().startswith("UTF"):
        encoding = "UTF-8"  # the declaration could be read, so it is not UTF-16
    elif encoding.upper().startswith("GB"):
        encoding = "GB18030"  # holds the older ones
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except (LookupError, UnicodeError) as error:
        start = getattr(error, "start", 0)
        bad = content[start : start + 8]
        raise ValueError(f"{path}: expected {encoding} text; received {bad!r}") from None


def parse_number(value: object, where: str) -> float:
    """Return a number that can be a coordinate; it may be given as text, as in `4e0`.

    Raises ValueError, naming `where`, for anything else: not finite, absurdly large, no number.
    """
    is_number = type(value) in (int, float) or isinstance(value, str) and "_" not in value
    try:
        number = float(value) if is_number else math.nan  # Python would read 1_0 as 10
    except (ValueError, OverflowError):
        number = math.nan
    require(-MAX_EXACT <= number <= MAX_EXACT, where, "a number", value)
    return number
