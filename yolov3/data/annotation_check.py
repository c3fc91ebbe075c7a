"""Check an annotation file and its images before they are used."""

import hashlib
import os
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from yolov3.annotations import BAD_CLASS, Problem, Record, box_text, read_bytes, scan, stack_boxes
from yolov3.class_names import case_twins, check_numbering
from yolov3.cli.progress import counted
from yolov3.cli.run import InputErrors
from yolov3.configs import REPO, Config
from yolov3.data.anchors import SAME_ANCHOR, find_shared_anchors, repeated_rows
from yolov3.data.image_files import content_keys, read_sizes
from yolov3.images import ImageFileError

OUTSIDE = "box outside its image"
SAME_IMAGE = "image listed twice"
SAME_CONTENT = "copy of another image"
SAME_BOX = "box listed twice"

OUTSIDE_TOLERANCE = 1.0  # pixels a box may reach over the edge, from rounding; it is clipped then
SHOWN_PER_KIND = 10
SHOWN_CLASSES = 12
SKIP_HINT = "--bad-lines skip uses the good lines alone"
CLASS_HINT = "labels count from 0; class names or weights may be those of another task"
TUTORIAL_DATA = "python mnist/make_data.py"  # makes the files that the defaults name


@dataclass(frozen=True)
class Report:
    """The result of `check_annotations`; `str` writes it as a person wants to read it.

    `problems` are the bad lines, at most one problem each. `warnings` do not keep a line from being
    used. `images` and `boxes` count the good lines.
    """

    path: str | Path
    images: int
    boxes: int
    problems: list[Problem]
    warnings: list[Problem]

    @property
    def ok(self) -> bool:
        """Whether no line is bad, whatever the warnings say."""
        return not self.problems

    @property
    def error(self) -> str:
        """One line that names file, line and value if one line is bad, else the full report."""
        if len(self.problems) == 1:
            return f"{self.path}:{self.problems[0].line}: {self.problems[0].message}"
        return str(self)

    def __str__(self) -> str:
        counts = (self.images, self.boxes, len(self.problems), len(self.warnings))
        nouns = ("good line", "box", "bad line", "warning")
        totals = ", ".join(map(counted, counts, nouns))
        sections = [("bad", self.problems), ("warning", self.warnings)]
        lines = [line for title, found in sections for line in _list_by_kind(title, found)]
        return "\n".join([f"{self.path}: {totals}", *lines])


def load_data(config: Config, class_names: list[str]) -> tuple[list[Record], list[Record]]:
    """Return the records to train and to validate on; say what is in them, and in both.

    Raises ValueError for bad lines, and for classes that are numbered otherwise.
    """
    paths = [path for path in (config.train_annot_path, config.test_annot_path) if path]
    notes, loaded = [], []
    for path in paths:
        notes.append(check_numbering(existing_file(path), class_names, config.train_classes))
        loaded.append(load_records(path, config, len(class_names)))
        notes += describe_classes(path, loaded[-1], class_names)
    if len(paths) == 2:
        notes.append(describe_overlap(paths[1], loaded[1], paths[0], loaded[0]))
    print(*dict.fromkeys(filter(None, notes)), sep="\n", flush=True)
    return loaded[0], loaded[1] if len(paths) == 2 else []


def load_records(
    annotation_path: str, config: Config, num_classes: int, bad_lines: str | None = None
) -> list[Record]:
    """Return the records of an annotation file; print the report of bad lines and warnings.

    Raises ValueError with the report if a line is bad; if `bad_lines` is "skip" (default: the
    setting of `config`), only if all are bad, and the good lines are used.
    """
    records, report = check_annotations(existing_file(annotation_path), num_classes, config)
    shared = [one for one in report.warnings if one.kind == SAME_ANCHOR]
    report = replace(report, warnings=[one for one in report.warnings if one.kind != SAME_ANCHOR])
    skip = (bad_lines or config.bad_lines) == "skip"
    hints = [CLASS_HINT] * any(one.kind == BAD_CLASS for one in report.problems)
    if not report.ok and not (skip and records):
        hints += [SKIP_HINT] * bool(records)
        lines = [*report.error.split("\n"), *hints]
        if len(report.problems) == 1 and hints:
            lines = [f"{report.error} ({'; '.join(hints)})"]
        raise InputErrors(*lines)
    if report.problems or report.warnings:
        print(report)
    if shared:
        boxes = f"{len(shared):,} of {counted(report.boxes, 'box')}"
        where = "tools/check_annotations.py lists them"
        print(f"{report.path}: {boxes} share their anchor with another; {where}")
    if not report.ok:
        print("\n".join([*hints, "using the good lines alone"]))
    return records


def check_annotations(
    path: str | Path, num_classes: int, config: Config | None = None, by_content: bool = False
) -> tuple[list[Record], Report]:
    """Read an annotation file and the header of every image; return the good lines and a report.

    The records' boxes are clipped to their images. Bad lines are in `report.problems`: text that
    cannot be parsed, images that are missing or unreadable, boxes outside of them. Images and
    boxes listed twice are `report.warnings`; so are objects that share an anchor in the network of
    `config`, if it is given, and copies of images, if `by_content`. Raises ValueError for a file
    that is missing, empty, too large or UTF-16. Common images are not decoded: see
    `images.read_image_size` for what that leaves unseen.
    """
    records, problems = scan(read_bytes(path), path, num_classes)
    paths = list(dict.fromkeys(record.image_path for record in records))
    sizes = dict(zip(paths, read_sizes(paths, "checking images"), strict=True))
    records, sizes_wh, unreadable = _drop_unreadable(records, sizes)
    records, sizes_wh, outside = _clip(records, sizes_wh)
    warnings = _repeated_images(records, by_content) + _repeated_boxes(records)
    if config:
        network = config.anchors, config.strides, config.train_input_size
        warnings += find_shared_anchors(records, sizes_wh, *network)
    problems = sorted(problems + unreadable + outside, key=lambda problem: problem.line)
    boxes = sum(len(record.classes) for record in records)
    return records, Report(path, len(records), boxes, problems, warnings)


def describe_classes(path, records: list[Record], class_names: list[str]) -> list[str]:
    """Return lines that count the boxes of each class, and name classes that may be mistakes."""
    counts = np.bincount(stack_boxes(records)[2], minlength=len(class_names)).tolist()
    order = range(len(counts))
    if len(counts) > SHOWN_CLASSES:
        order = sorted(order, key=lambda index: -counts[index])
    used = [f"{class_names[index]} {counts[index]:,}" for index in order if counts[index]]
    lines = [f"{path}: boxes per class: {_shown(used) or 'none'}"]
    if unused := [name for name, count in zip(class_names, counts, strict=True) if not count]:
        lines.append(f"{path}: {counted(len(unused), 'class')} without a box: {_shown(unused)}")
    twins = (_shown(group) for group in case_twins(class_names))
    return lines + [f"note: these classes differ only in case: {group}" for group in twins]


def describe_overlap(path, records: list[Record], other_path, others: list[Record]) -> str:
    """Say how many images of one annotation file are images of the other, too, by their content.

    An empty text stands for none.
    """
    keys = content_keys([record.image_path for record in (*others, *records)])
    first = dict(zip(reversed(keys[: len(others)]), reversed(others), strict=True))
    found = zip(records, keys[len(others) :], strict=True)
    same = [(record, first[key]) for record, key in found if key in first]
    if not same:
        return ""
    here, there = (os.path.basename(record.image_path) for record in same[0])
    example = repr(here) if here == there else f"{here!r} is {there!r}"
    return (
        f"warning: {len(same):,} of {counted(len(records), 'image')} of {path} have the content of "
        f"images of {other_path}: {example} (lines {same[0][0].line} and {same[0][1].line})"
    )


def fingerprint(records: list[Record]) -> str:
    """Return the SHA-256 of what records say: names of images, boxes and classes, in order.

    Folders do not count: a data set may move.
    """
    digest = hashlib.sha256()
    for record in records:
        name = os.path.basename(record.image_path).encode(errors="surrogateescape")
        digest.update(name + b"\n" + record.boxes_xyxy.tobytes() + record.classes.tobytes())
    return digest.hexdigest()


def existing_file(path: str) -> Path:
    """Find an input file relative to the current folder or else to the repo, as the defaults are.

    Raises ValueError if there is none; for the tutorial's data it says how to make them.
    """
    candidates = Path(path), REPO / path
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    if any(candidate.is_dir() for candidate in candidates):
        raise ValueError(f"{path}: this is a folder, not a file")
    is_default = path in (Config.train_annot_path, Config.test_annot_path)
    hint = f"; make the tutorial's data with: {TUTORIAL_DATA}" if is_default else ""
    raise ValueError(f"{path}: expected a file; there is none{hint}")


def _drop_unreadable(
    records: list[Record], sizes: dict[str, tuple[int, int] | ImageFileError]
) -> tuple[list[Record], np.ndarray, list[Problem]]:
    """Return the records with a readable image, the sizes (R, 2) of these, and the problems."""
    readable, sizes_wh, problems = [], [], []
    for record in records:
        size = sizes[record.image_path]
        if isinstance(size, ImageFileError):
            message = f"expected an image; received {record.image_path!r:.300} ({size.reason})"
            problems.append(Problem(size.kind, record.line, message))
        else:
            readable.append(record)
            sizes_wh.append(size)
    return readable, np.array(sizes_wh, int).reshape(-1, 2), problems


def _clip(
    records: list[Record], sizes_wh: np.ndarray
) -> tuple[list[Record], np.ndarray, list[Problem]]:
    """Clip boxes to their images; return the records and sizes (R, 2) left, and the problems."""
    image_index, boxes_xyxy, _ = stack_boxes(records)
    limits = np.tile(sizes_wh, 2).astype(np.float32)  # (R, 4)
    over = (boxes_xyxy < 0) | (boxes_xyxy > limits[image_index])  # (M, 4)
    clipped: list[Record | None] = list(records)
    problems = []
    for index in np.unique(image_index[over.any(axis=1)]):
        record = records[index]
        boxes_xyxy = np.clip(record.boxes_xyxy, 0, limits[index])
        outside = (np.abs(boxes_xyxy - record.boxes_xyxy) > OUTSIDE_TOLERANCE).any(axis=1)
        outside |= (boxes_xyxy[:, 2:] <= boxes_xyxy[:, :2]).any(axis=1)  # nothing of it is inside
        clipped[index] = None if outside.any() else replace(record, boxes_xyxy=boxes_xyxy)
        if outside.any():
            width, height = sizes_wh[index]
            box = box_text(record.boxes_xyxy[outside.argmax()])
            message = f"expected boxes inside the {width}x{height} image; received {box}"
            problems.append(Problem(OUTSIDE, record.line, message))
    good = [index for index, record in enumerate(clipped) if record is not None]
    return [clipped[index] for index in good], sizes_wh[good], problems


def _repeated_images(records: list[Record], by_content: bool) -> list[Problem]:
    """Warn of every image that an earlier line lists as well, perhaps as a copy."""
    paths = [os.path.normpath(record.image_path) for record in records]
    keys = content_keys(paths) if by_content else paths
    firsts: dict[Hashable, tuple[int, str]] = {}
    found = []
    for record, path, key in zip(records, paths, keys, strict=True):
        line, first = firsts.setdefault(key, (record.line, path))
        if first != path:
            message = f"{path!r} is a copy of {first!r} in line {line}"
            found.append(Problem(SAME_CONTENT, record.line, message))
        elif line != record.line:
            message = f"{record.image_path!r} is in line {line}, too"
            found.append(Problem(SAME_IMAGE, record.line, message))
    return found


def _repeated_boxes(records: list[Record]) -> list[Problem]:
    """Warn of every box that its line lists before, with the same class."""
    image_index, boxes_xyxy, classes = stack_boxes(records)
    return [
        Problem(SAME_BOX, records[image_index[second]].line, box_text(boxes_xyxy[second]))
        for _, second in repeated_rows(np.column_stack([image_index, boxes_xyxy, classes]))
    ]


def _list_by_kind(title: str, found: list[Problem]) -> list[str]:
    lines = []
    for kind, count in Counter(one.kind for one in found).most_common():
        lines.append(f"{title}: {kind}: {count:,}")
        shown = [one for one in found if one.kind == kind][:SHOWN_PER_KIND]
        lines += [f"  line {one.line}: {one.message}" for one in shown]
        if count > len(shown):
            lines.append(f"  and {count - len(shown):,} more")
    return lines


def _shown(words: list[str]) -> str:
    """Write words in a row, of many the first."""
    rest = len(words) - SHOWN_CLASSES
    return ", ".join(words[:SHOWN_CLASSES]) + (f" and {rest:,} more" if rest > 0 else "")
