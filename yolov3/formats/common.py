"""Common to all formats: text files, numbers, class names, and the log of a conversion."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection
from pathlib import Path

from yolov3.annotations import MAX_EXACT, UTF16_BOMS, read_bytes
from yolov3.cli.progress import counted
from yolov3.folder_search import find_files
from yolov3.formats.data_set import AnnotatedImage
from yolov3.text import printable

EXAMPLES = 3  # shown of each reason
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
        self._counts: Counter[tuple[str, str, str]] = Counter()  # in the order of appearance
        self._examples: dict[tuple[str, str, str], list[str]] = {}

    def add(self, action: str, thing: str, reason: str, examples: list[str], count=None) -> None:
        """Log that `action` ("dropped") befell `thing` ("box") for a reason, once per example.

        `count` says how often where there are fewer examples than that.
        """
        count = len(examples) if count is None else count
        if count:
            key = action, thing, reason
            self._counts[key] += count
            self._examples.setdefault(key, []).extend(examples)

    def bad(self, fault: object) -> None:
        """Log a file or element that cannot be read; `fault` names it and says why."""
        self.faults.append(str(fault))

    def search(self, folder: Path, suffixes: Collection[str]) -> list[Path]:
        """Return the files below a folder as `find_files`, and log what was left out."""
        found = find_files(folder, suffixes)
        for note in found.left_out:
            self._left_out[f"{note} in {folder}" if note[0].isdigit() else note] = None
        return found.files

    def __str__(self) -> str:
        lines = [self._line(key) for key in self._counts]
        if self._left_out:
            lines.insert(0, f"skipped in the search: {_examples(list(self._left_out))}")
        return "\n".join(lines)

    def _line(self, key: tuple[str, str, str]) -> str:
        (action, thing, reason), examples = key, self._examples[key]
        line = f"{action} {counted(self._counts[key], thing)}, {reason}"
        return f"{line}: {_examples(examples)}" if examples else line


def _examples(texts: list[str]) -> str:
    return printable("; ".join(texts[:EXAMPLES])) + " ..." * (len(texts) > EXAMPLES)


def require(is_right: bool, where: object, expected: str, value: object) -> None:
    """Raise ValueError unless a value that was read is right; `where` names file and element."""
    if not is_right:
        raise ValueError(f"{where}: expected {expected}; received {value!r:.80}")


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


def single_annotations(images: list[AnnotatedImage], sources: list[str], log: ConversionLog):
    """Return the images that one source annotates, or several alike; the others are faults."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        groups[image.path].append(index)
    kept = []
    for path, indices in groups.items():
        contents = {_content(images[index]): index for index in reversed(indices)}
        contents.pop((), None)  # without boxes
        if len(contents) > 1:
            one, other, *_ = (sources[index] for index in sorted(contents.values()))
            log.bad(f"{other}: the image is {path!r}, which {one} annotates otherwise")
        else:
            kept.append(images[next(iter(contents.values()), indices[0])])
            reason = "of an image that another one annotates alike"
            log.add("skipped", "annotation", reason, [sources[index] for index in indices[1:]])
    return kept


def _content(image: AnnotatedImage) -> tuple:
    boxes = zip(image.boxes_xyxy.tolist(), image.classes.tolist(), strict=True)
    return tuple(sorted((*box, label) for box, label in boxes))


def image_stems(images: list[AnnotatedImage], reserved: str = "") -> list[str]:
    """Return the images' names without extension, which name their annotation files.

    Raises ValueError if two are alike or one is `reserved`: their files would be the same.
    """
    first: dict[str, str] = {}
    for path, *_ in images:
        stem = Path(path).stem
        if stem in first or stem == reserved:
            other = first.get(stem, "a file of the format")
            raise ValueError(
                f"{path}: expected a name of its own for its annotation file; "
                f"received {stem!r}, which is that of {other}"
            )
        first[stem] = path
    return list(first)


def is_coordinate(value: object) -> bool:
    """Tell whether a value is a number that can be a coordinate: finite and not absurdly large."""
    return type(value) in (int, float) and -MAX_EXACT <= value <= MAX_EXACT  # False for NaN


def parse_number(text: str, where: str) -> float:
    """Read a finite decimal number, or raise ValueError; `where` starts its message."""
    try:
        number = float(text) if "_" not in text else math.nan  # Python would read 1_0 as 10
    except ValueError:
        number = math.nan
    require(is_coordinate(number), where, "a number", text)
    return number


def check_class_name(name: str, where: str) -> str:
    """Return a name without white space around it; `where` starts the message of the ValueError.

    A names file has one name per line, so a name is one line of printable characters.
    """
    stripped = name.strip()
    is_name = stripped != "" and stripped.isprintable()
    require(is_name, where, "a class name on one line", name)
    return stripped
