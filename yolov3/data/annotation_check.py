"""Check a whole annotation file with its images before it is used."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from yolov3.annotations import UTF8_BOM, Problem, Record, read_bytes, scan
from yolov3.data.annotation_report import Report
from yolov3.data.collisions import (
    box_text,
    find_repeated_boxes,
    find_repeated_images,
    find_shared_anchors,
    stack_boxes,
)
from yolov3.data.image_sizes import read_sizes
from yolov3.data.progress import show_progress
from yolov3.images import ImageFileError

OUTSIDE = "box outside its image"
LINE_ENDS = "line ends"
BYTE_ORDER_MARK = "byte-order mark"

OUTSIDE_TOLERANCE = 1.0  # pixels a box may reach over the edge, from rounding; it is clipped then


def check_annotations(
    path: str | Path,
    num_classes: int,
    *,
    anchors: np.ndarray | None = None,
    strides: np.ndarray | None = None,
    input_size: int | None = None,
    progress: bool = True,
    workers: int | None = None,
) -> tuple[list[Record], Report]:
    """Read an annotation file and the header of every image; return the good lines and a report.

    The records' boxes are clipped to their images. Bad lines are in `report.problems`: text that
    cannot be parsed, images that are missing or unreadable, boxes outside of them. Images and
    boxes listed twice, line ends and a byte-order mark are `report.warnings`; so are, if `anchors`
    (S, A, 2) in pixels, `strides` (S,) and `input_size` are given, objects that share an anchor.
    `workers` is the number of processes that open images, None for a fitting one. Raises
    ValueError for a file that is missing, empty, too large or UTF-16. Images are not decoded:
    see `images.read_image_size` for what that leaves unseen.
    """
    content = read_bytes(path)
    records, problems = scan(content, path, num_classes)
    paths = list(dict.fromkeys(record.image_path for record in records))
    sizes: dict[str, tuple[int, int] | ImageFileError] = {}
    batches = read_sizes(paths, workers)
    for batch in show_progress(batches, len(paths), "checking images") if progress else batches:
        sizes.update((paths[index], size) for index, size in batch)
    records, sizes_wh, unreadable = _drop_unreadable(records, sizes)
    records, sizes_wh, outside = _clip(records, sizes_wh)
    warnings = _check_encoding(content) + find_repeated_images(records)
    warnings += find_repeated_boxes(records)
    if anchors is not None:
        warnings += find_shared_anchors(records, sizes_wh, anchors, strides, input_size)
    problems = sorted(problems + unreadable + outside, key=lambda problem: problem.line)
    boxes = sum(len(record.classes) for record in records)
    return records, Report(path, len(records), boxes, problems, warnings)


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
    owner, boxes_xyxy, _ = stack_boxes(records)
    limits = np.tile(sizes_wh, 2).astype(np.float32)  # (R, 4)
    over = (boxes_xyxy < 0) | (boxes_xyxy > limits[owner])  # (M, 4)
    clipped: list[Record | None] = list(records)
    problems = []
    for index in np.unique(owner[over.any(axis=1)]):
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


def _check_encoding(content: bytes) -> list[Problem]:
    """Warn of what other programs may stumble over, although it is harmless here."""
    warnings = []
    if content.startswith(UTF8_BOM):
        message = "expected plain UTF-8; received a byte-order mark, which is skipped"
        warnings.append(Problem(BYTE_ORDER_MARK, 1, message))
    windows, carriage_returns = content.count(b"\r\n"), content.count(b"\r")
    if carriage_returns:
        first = len(content[: content.index(b"\r") + 1].splitlines())
        message = (
            f"expected LF line ends; received {windows:,} CRLF and {carriage_returns - windows:,} "
            "CR, which are read like LF"
        )
        warnings.append(Problem(LINE_ENDS, first, message))
    return warnings
