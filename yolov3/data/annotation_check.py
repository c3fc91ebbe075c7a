"""Check an annotation file and its images before they are used."""

import hashlib
import os
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from yolov3.annotations import BAD_CLASS, Problem, Records, box_text, scan, stack_boxes
from yolov3.checkpoints import Checkpoint
from yolov3.class_names import case_twins, check_numbering, read_class_names
from yolov3.cli.run import InputErrors
from yolov3.configs import REPO, Config
from yolov3.data.image_files import content_keys, read_sizes, same_content
from yolov3.files import read_bytes
from yolov3.shards import base_name
from yolov3.text import counted, listed

OUTSIDE = "box outside its image"
SAME_IMAGE = "image listed twice"
SAME_CONTENT = "copy of another image"
SAME_BOX = "box listed twice"
NO_BOX = "no line has a box (tools/convert.py reads lists of images, with their labels)"
FRACTIONS = "no box goes beyond 1 pixel (corners are pixels, not fractions of the image)"

OUTSIDE_TOLERANCE = 1.0  # pixels a box may reach over the edge, from rounding; it is clipped then
SHOWN_PER_KIND = 10
SHOWN_CLASSES = 12
SKIP_HINT = "--bad-lines skip uses the good lines alone"
CLASS_HINT = "labels count from 0; class names or weights may be those of another task"
TUTORIAL_DATA = "python mnist/make_data.py"  # makes the files that the defaults name


@dataclass(frozen=True)
class AnnotationReport:
    """The result of `check_annotations`; `str` writes it as a person wants to read it.

    `records` are the good lines, `problems` the bad ones, at most one problem each. `warnings` do
    not keep a line from being used.
    """

    path: str | Path
    records: Records
    problems: list[Problem]
    warnings: list[Problem]

    @property
    def ok(self) -> bool:
        """Whether no line is bad, whatever the warnings say."""
        return not self.problems

    def __str__(self) -> str:
        counts = map(len, (self.records, self.records.classes, self.problems, self.warnings))
        nouns = ("good line", "box", "bad line", "warning")
        lines = [f"{self.path}: {', '.join(map(counted, counts, nouns))}"]
        for title, found in (("bad", self.problems), ("warning", self.warnings)):
            for kind, count in Counter(one.kind for one in found).most_common():
                lines.append(f"{title}: {kind}: {count:,}")
                of_kind = islice((one for one in found if one.kind == kind), SHOWN_PER_KIND)
                lines += [f"  line {one.line}: {one.message}" for one in of_kind]
                if count > SHOWN_PER_KIND:
                    lines.append(f"  and {count - SHOWN_PER_KIND:,} more")
        return "\n".join(lines)


def check_class_names(config: Config, checkpoint: Checkpoint | None) -> list[str]:
    """Return the class names. Raises ValueError if they do not fit checkpoint or test images."""
    path, usual = config.train_classes, Config()
    class_names = read_class_names(existing_file(path))
    if checkpoint and checkpoint.class_names != class_names:
        raise ValueError(
            f"{path}: expected the class names of {checkpoint.path}, {checkpoint.class_names}; "
            f"received {class_names}"
        )
    are_own = path != usual.train_classes and config.train_annot_path != usual.train_annot_path
    if not checkpoint and are_own and config.test_annot_path == usual.test_annot_path:
        raise ValueError(
            f"{path}: the tutorial's {config.test_annot_path} has other classes; give "
            "--test-annot-path with images of these, or '' to train without validation"
        )
    return class_names


def load_data(config: Config, class_names: list[str]) -> tuple[Records, Records]:
    """Return the records to train and to validate on; say what is in them, and in both.

    Raises ValueError for bad lines, and for classes that are numbered otherwise.
    """
    paths = [path for path in (config.train_annot_path, config.test_annot_path) if path]
    notes, loaded = [], []
    for path in paths:
        notes.append(check_numbering(existing_file(path), class_names, config.train_classes))
        loaded.append(load_records(path, config, len(class_names)))
        notes += describe_classes(path, loaded[-1], class_names)
    if not any(len(record.classes) for record in loaded[0]):
        raise ValueError(f"{paths[0]}: expected objects to train on; {NO_BOX}")
    if len(paths) == 2:
        notes.append(describe_overlap(paths[1], loaded[1], paths[0], loaded[0]))
    print(*dict.fromkeys(filter(None, notes)), sep="\n", flush=True)
    return loaded[0], loaded[1] if len(paths) == 2 else []


def load_records(
    annotation_path: str, config: Config, num_classes: int, bad_lines: str | None = None
) -> Records:
    """Return the records of an annotation file; print the report of bad lines and warnings.

    Raises ValueError with the report if a line is bad; if `bad_lines` is "skip" (default: the
    setting of `config`), only if all are bad, and the good lines are used.
    """
    report = check_annotations(existing_file(annotation_path), num_classes)
    skip = (bad_lines or config.bad_lines) == "skip"
    hints = [CLASS_HINT] * any(one.kind == BAD_CLASS for one in report.problems)
    if not report.ok and not (skip and report.records):
        hints += [SKIP_HINT] * bool(report.records)
        first, *more = report.problems
        if more:
            raise InputErrors(*str(report).split("\n"), *hints)
        advice = f" ({'; '.join(hints)})" if hints else ""
        raise ValueError(f"{report.path}:{first.line}: {first.message}{advice}")
    if report.problems or report.warnings:
        print(report)
    if not report.ok:
        print(*hints, "using the good lines alone", sep="\n")
    return report.records


def check_annotations(
    path: str | Path, num_classes: int, by_content: bool = False
) -> AnnotationReport:
    """Read an annotation file and the header of every image.

    The records' boxes are clipped to their images. Bad lines are `problems`: text that cannot be
    parsed, images that are missing or unreadable, boxes outside of them. Images and boxes listed
    twice are `warnings`; so are copies of images, if `by_content`. Raises ValueError for a file
    that is missing, empty, too large or UTF-16. Common images are not decoded: see
    `images.read_image_size` for what that leaves unseen.
    """
    records, problems = scan(read_bytes(path), path, num_classes)
    records, unfit = _fit_to_images(records)
    problems = sorted(problems + unfit, key=lambda problem: problem.line)
    warnings = _repeated_images(records, by_content) + _repeated_boxes(records)
    if records and (largest := records.boxes_xyxy.max(initial=0)) <= 1:
        kind = FRACTIONS if largest else NO_BOX
        warnings.append(Problem(kind, records[0].line, repr(records[0].image_path)))
    return AnnotationReport(path, records, problems, warnings)


def describe_classes(path, records: Records, class_names: list[str]) -> list[str]:
    """Return lines that count the boxes of each class, and name classes that may be mistakes."""
    counts = np.bincount(stack_boxes(records)[2], minlength=len(class_names)).tolist()
    order = range(len(counts))
    if len(counts) > SHOWN_CLASSES:
        order = sorted(order, key=lambda index: -counts[index])
    used = [f"{class_names[index]} {counts[index]:,}" for index in order if counts[index]]
    lines = [f"{path}: boxes per class: {listed(used, SHOWN_CLASSES) or 'none'}"]
    if unused := [name for name, count in zip(class_names, counts, strict=True) if not count]:
        number = counted(len(unused), "class")
        lines.append(f"{path}: {number} without a box: {listed(unused, SHOWN_CLASSES)}")
    twins = (listed(group, SHOWN_CLASSES) for group in case_twins(class_names))
    return lines + [f"note: these classes differ only in case: {group}" for group in twins]


def describe_overlap(path, records: Records, other_path, others: Records) -> str:
    """Say how many images of one annotation file are images of the other, too, by their content.

    An empty text stands for none.
    """
    paths = ([record.image_path for record in part] for part in (records, others))
    same = same_content(*paths)
    if not same:
        return ""
    pair = records[same[0][0]], others[same[0][1]]
    names = dict.fromkeys(repr(os.path.basename(record.image_path)) for record in pair)
    example = f"{' is '.join(names)} (lines {' and '.join(str(record.line) for record in pair)})"
    share = f"{len(same):,} of {counted(len(records), 'image')}"
    return f"warning: {path} shares {share} with {other_path}, by their content: {example}"


def fingerprint(records: Records) -> str:
    """Return the SHA-256 of what records say: names of images, boxes and classes, in order.

    Folders and shards do not count: a data set may move, or be packed.
    """
    digest = hashlib.sha256()
    for record in records:
        name = os.fsencode(base_name(record.image_path))
        digest.update(name + b"\n" + record.boxes_xyxy.tobytes() + record.classes.tobytes())
    return digest.hexdigest()


def existing_file(path: str) -> Path:
    """Find an input file relative to the current folder or else to the repo, as the defaults are.

    Raises ValueError if there is none; for the tutorial's data it says how to make them.
    """
    for candidate in (Path(path), REPO / path):
        if candidate.exists():
            return candidate
    is_default = path in (Config.train_annot_path, Config.test_annot_path)
    hint = f"; make the tutorial's data with: {TUTORIAL_DATA}" if is_default else ""
    raise ValueError(f"{path}: expected a file; there is none{hint}")


def _fit_to_images(records: Records) -> tuple[Records, list[Problem]]:
    """Clip all boxes to their images; return what is good, and what is wrong with the others."""
    sizes_wh, errors = read_sizes(records.image_paths, "checking images")
    image_index, given = records.image_index, records.boxes_xyxy
    boxes_xyxy = given.clip(0, np.tile(sizes_wh, 2).astype(np.float32)[image_index])
    is_outside = (np.abs(boxes_xyxy - given) > OUTSIDE_TOLERANCE).any(axis=1)
    is_outside |= (boxes_xyxy[:, 2:] <= boxes_xyxy[:, :2]).any(axis=1)  # nothing of it is inside
    is_good, problems = sizes_wh[:, 0] > 0, []
    for index in np.flatnonzero(~is_good):
        record = records[index]
        error = errors[record.image_path]
        message = f"expected an image; received {record.image_path!r:.300} ({error.reason})"
        problems.append(Problem(error.kind, record.line, message))
    is_outside &= is_good[image_index]
    for index, box in zip(*np.unique(image_index[is_outside], return_index=True), strict=True):
        width, height = sizes_wh[index]
        received = box_text(given[is_outside][box])
        message = f"expected boxes inside the {width}x{height} image; received {received}"
        problems.append(Problem(OUTSIDE, int(records.lines[index]), message))
    is_good[image_index[is_outside]] = False
    return replace(records, boxes_xyxy=boxes_xyxy).select(is_good), problems


def _repeated_images(records: Records, by_content: bool) -> list[Problem]:
    """Warn of every image that an earlier line lists as well, perhaps as a copy."""
    paths = list(map(os.path.normpath, records.image_paths))
    keys = content_keys(paths) if by_content else paths
    if len(set(keys)) == len(keys):
        return []
    firsts, found = {}, []
    for index, key in enumerate(keys):
        first = firsts.setdefault(key, index)
        if first == index:
            continue
        line, path = int(records.lines[first]), paths[first]
        if path != paths[index]:
            kind, message = SAME_CONTENT, f"{paths[index]!r} is a copy of {path!r} in line {line}"
        else:
            kind, message = SAME_IMAGE, f"{records.image_paths[index]!r} is in line {line}, too"
        found.append(Problem(kind, int(records.lines[index]), message))
    return found


def _repeated_boxes(records: Records) -> list[Problem]:
    """Warn of every box that its line lists before, with the same class."""
    boxes_xyxy, image_index = records.boxes_xyxy, records.image_index
    columns = [records.classes, *boxes_xyxy.T, image_index]
    chosen = np.arange(len(boxes_xyxy))
    # Image and lowest edge, in one number, leave few boxes to sort by all, which is slow.
    edge = boxes_xyxy[:, 3].copy().view("u4") | image_index.astype("u8") << 32
    for keys in ([edge], columns):
        order = chosen[np.lexsort([key[chosen] for key in keys])]
        is_same = np.all([key[order[1:]] == key[order[:-1]] for key in keys], axis=0)
        repeats = np.sort(order[1:][is_same])  # lexsort is stable: the first of equals is before
        chosen = np.union1d(repeats, order[:-1][is_same])
    lines = records.lines[image_index[repeats]].tolist()
    texts = map(box_text, boxes_xyxy[repeats])
    return [Problem(SAME_BOX, *pair) for pair in zip(lines, texts, strict=True)]
