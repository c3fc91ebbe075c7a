"""Class names: a text file, a `data.yaml` or a Darknet `.data` file, and how two lists differ.

In a text file each line is a name. Lines that are blank, "#" alone or begin with "# " are skipped;
"#1" is a name. What a file holds decides how it is read, whatever its ending: a line such as
`nc: 2` or `names = obj.names` is no class.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from yolov3.annotations import LineError, decode_line, numbered_lines
from yolov3.files import read_bytes
from yolov3.text import printable, require

MAX_BYTES = 2**20  # the 80 names of COCO have 625
OTHER_NAMES = ("classes.txt", "data.yaml")  # of other tools, beside their annotations
COMMENT = re.compile(r"#(\s|$)")
# What no class name begins with: a line of data.yaml, or of a .data file ...
YAML = re.compile(r"[{\[]\s*(\"|$)|-\s|(\d+|names|nc|path|train|val|valid|test)\s*:")
DARKNET = re.compile(r"(names|classes|train|valid|test)\s*=")
# ... of XML or a cfg, a label map of TensorFlow, a colour map or annotations, labels of YOLO.
OTHER = re.compile(r"<[?!]|[{\[]|<annotation|item\s*\{|.*\d,[\d.]+,[\d.]+[,:]|\d+(\s+[\d.]+){4}$")


class _Loader(yaml.BaseLoader):
    """Refuse aliases: with them a few lines stand for more text than fits into memory."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.MarkedYAMLError(None, None, f"the alias *{event.anchor}", event.start_mark)
        return super().compose_node(parent, index)


def read_class_names(path: str | Path) -> list[str]:
    """Read class names in their order: one per line, or those that `data.yaml` or `.data` name.

    Raises ValueError for a file that is missing, empty, too large, not UTF-8 or of another kind,
    and for a name that is given twice or cannot be printed.
    """
    path = Path(path)
    lines = _read_lines(path)
    if path.suffix.lower() in (".yaml", ".yml") or any(map(YAML.match, lines.values())):
        return names_in_yaml(read_yaml(path), path)
    if path.suffix.lower() == ".data" or any(map(DARKNET.match, lines.values())):
        path = _named_file(path, lines.values())
        lines = _read_lines(path)
    texts = list(lines.values())
    are_numbered = any(map(_are_numbered, (texts, texts[1:])))  # below a heading, perhaps
    for line, text in lines.items():
        is_name = not (are_numbered or any(kind.match(text) for kind in (YAML, DARKNET, OTHER)))
        require(is_name, f"{path}:{line}", "a class name alone", text)
    return _checked(lines.items(), path)


def read_yaml(path: str | Path) -> dict:
    """Read settings such as `data.yaml`; every value stays the text that it is, or a list or dict.

    So a class may be called `no` or 010. A file that is a list is taken for one of names. Raises
    ValueError, in one line, for anything else.
    """
    try:
        content = yaml.load(read_bytes(path, MAX_BYTES), _Loader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ValueError(f"{path}:{mark.line + 1 if mark else 1}: broken YAML: {reason}") from None
    if not isinstance(content, dict | list):
        kind = type(content).__name__
        raise ValueError(f"{path}: expected settings as 'names: [cat, dog]'; received a {kind}")
    return content if isinstance(content, dict) else {"names": content}


def names_in_yaml(settings: dict, path: str | Path) -> list[str]:
    """Return the class names of a `data.yaml`, a list or numbered from 0.

    They are its `names`, or all that is in it. Raises ValueError, naming `path`, if there are none,
    or fewer or more than `nc`.
    """
    names = settings.get("names", settings)
    if isinstance(names, dict):
        names = [names.get(str(index)) for index in range(len(names))]
    if not names or not isinstance(names, list) or not all(isinstance(x, str) for x in names):
        raise ValueError(f"{path}: expected names, as 'names: [cat, dog]' or numbered from 0")
    if settings.get("nc", str(len(names))) != str(len(names)):
        raise ValueError(f"{path}: nc is {settings['nc']}, but names has {len(names)}")
    return _checked(enumerate(names), path)


def class_name(text: str, where: str) -> str:
    """Return a name without white space around it, one line of printable characters.

    Raises ValueError, naming `where`, for what no names file can hold.
    """
    name = text.strip()
    require(name and name == printable(name), where, "a class name on one line", text)
    return name


def case_twins(names: list[str]) -> list[list[str]]:
    """Return the groups of class names that differ only in case, as Bolt and bolt."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.casefold(), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def check_numbering(annotations: str | Path, class_names: list[str], source: str | Path) -> str:
    """Return a note if names beside an annotation file differ from these of `source`, else "".

    Raises ValueError if the file's own names, x.names of x.txt, give a class another number: labels
    are mere numbers, and would mean other classes.
    """
    own = Path(annotations).with_suffix(".names")
    for path in (own, *(own.with_name(name) for name in OTHER_NAMES)):
        try:
            theirs = read_class_names(path)
        except ValueError:  # there is none; and what another tool left may be anything
            continue
        ours = [*map(repr, class_names), *["none"] * len(theirs)]
        others = [number for number, name in enumerate(theirs) if repr(name) != ours[number]]
        moved = [number for number in others if path == own and theirs[number] in class_names]
        if not others:
            continue
        number = (moved or others)[0]
        what = f"class {number} is {theirs[number]!r} in {path}, but {ours[number]} in {source}"
        if moved:
            raise ValueError(f"{annotations}: {what}; convert with --names to number alike")
        return f"note: {what}"
    return ""


def _read_lines(path: Path) -> dict[int, str]:
    """Return the lines that are no comments and not blank, by their numbers from 1."""
    lines = {}
    for line, raw in numbered_lines(read_bytes(path, MAX_BYTES)):
        try:
            text = decode_line(raw)
        except LineError as error:
            raise ValueError(f"{path}:{line}: {error}") from None
        if text and not COMMENT.match(text):
            lines[line] = text
    return lines


def _are_numbered(texts: list[str]) -> bool:
    """Tell whether each name has its number, before or behind it: "0 cat" or "cat,0"."""
    patterns = (rf"{number}[\s,;:]|.*[,;\t]\s*{number}$" for number in range(len(texts)))
    return len(texts) > 1 and all(map(re.match, patterns, texts))


def _named_file(path: Path, lines: Iterable[str]) -> Path:
    """Return the file that `names =` of a .data file names, from its folder or one above.

    Where all of that path is nowhere, as on another machine, the end of it beside the file counts.
    """
    settings = dict(re.split(r"\s*=\s*", text, maxsplit=1) for text in lines if "=" in text)
    if not settings.get("names"):
        raise ValueError(f"{path}: expected a line 'names = FILE'; there is none")
    parts = settings["names"].replace("\\", "/").split("/")
    folder = path.absolute().parent
    candidates = [(one, settings["names"]) for one in (folder, *folder.parents)]
    candidates += [(folder, *parts[start:]) for start in range(1, len(parts))]
    for named in (Path(*candidate) for candidate in candidates):
        if named.is_file():
            return named
    raise ValueError(f"{path}: expected class names in {settings['names']}; there is no such file")


def _checked(lines: Iterable[tuple[int, str]], path: Path | str) -> list[str]:
    """Return names. Raises ValueError naming the line for one that is no name, or a second."""
    first: dict[str, int] = {}
    for line, text in lines:
        name = class_name(text, f"{path}:{line}")
        again = f"{name!r:.80} of line {first.get(name)}"
        if name in first:
            raise ValueError(f"{path}:{line}: expected a new class name; received {again}")
        first[name] = line
    if not first:
        raise ValueError(f"{path}: expected one class name per line; received no name")
    return list(first)
