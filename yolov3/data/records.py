"""Load an annotation file for use: found, checked as a whole, its bad lines refused."""

import hashlib
import os
from pathlib import Path

from yolov3.annotations import Record
from yolov3.configs import REPO, Config
from yolov3.data.annotation_check import check_annotations

SKIP_HINT = "--bad-lines skip goes on with the good lines alone"
TUTORIAL_DATA = "python mnist/make_data.py"  # makes the files that the defaults name


def load_records(
    annotation_path: str, config: Config, num_classes: int, bad_lines: str | None = None
) -> list[Record]:
    """Return the records of an annotation file; print the report of bad lines and warnings.

    Raises ValueError if a line is bad: the one line, or the report of all. With "skip" as
    `bad_lines` (None takes that of `config`) only if all are; the good lines are used.
    """
    records, report = check_annotations(
        existing_file(annotation_path),
        num_classes,
        anchors=config.anchors,
        strides=config.strides,
        input_size=config.train_input_size,
    )
    skip = (bad_lines or config.bad_lines) == "skip"
    if report.problems and not (skip and records):
        hint = f" ({SKIP_HINT})" if len(report.problems) == 1 else f"\n{SKIP_HINT}"
        raise ValueError(report.error + (hint if records else ""))
    if report.problems or report.warnings:
        print(report)
    if report.problems:
        print("going on with the good lines alone")
    return records


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
    """Find an input file from the current folder or, as the defaults are, from the repo's.

    Raises ValueError that says how to make the tutorial's data if it is those that are missing.
    """
    for candidate in (Path(path), REPO / path):
        if candidate.is_file():
            return candidate
    is_default = path in (Config.train_annot_path, Config.test_annot_path)
    hint = f"; make the tutorial's data with: {TUTORIAL_DATA}" if is_default else ""
    raise ValueError(f"{path}: expected a file; there is none{hint}")
