"""What a check of an annotation file found, as a person wants to read it."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from yolov3.annotations import Problem

SHOWN_PER_KIND = 10


@dataclass(frozen=True)
class Report:
    """The result of `check_annotations`; true if no line is bad, whatever the warnings say.

    `problems` are the bad lines, at most one problem each. `warnings` do not keep a line from being
    used. `images` and `boxes` count the good lines.
    """

    path: str | Path
    images: int
    boxes: int
    problems: list[Problem]
    warnings: list[Problem]

    def __bool__(self) -> bool:
        return not self.problems

    @property
    def counts(self) -> dict[str, int]:
        """How many problems and warnings there are of each kind, the problems first."""
        return Counter(found.kind for found in [*self.problems, *self.warnings])

    @property
    def error(self) -> str:
        """One line that names file, line and value if one line is bad, else the whole report."""
        if len(self.problems) == 1:
            return f"{self.path}:{self.problems[0].line}: {self.problems[0].message}"
        return str(self)

    def __str__(self) -> str:
        totals = [
            _count(self.images, "good line"),
            _count(self.boxes, "box", "boxes"),
            _count(len(self.problems), "bad line"),
            _count(len(self.warnings), "warning"),
        ]
        sections = [f"{self.path}: {', '.join(totals)}"]
        sections += _list_by_kind("bad", self.problems) + _list_by_kind("warning", self.warnings)
        return "\n".join(sections)


def _list_by_kind(title: str, found: list[Problem]) -> list[str]:
    lines = []
    for kind, count in Counter(one.kind for one in found).most_common():
        lines.append(f"{title}: {kind}: {count:,}")
        shown = [one for one in found if one.kind == kind][:SHOWN_PER_KIND]
        lines += [f"  line {one.line}: {one.message}" for one in shown]
        if count > len(shown):
            lines.append(f"  and {count - len(shown):,} more")
    return lines


def _count(number: int, singular: str, plural: str = "") -> str:
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
