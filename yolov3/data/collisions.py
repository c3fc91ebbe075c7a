"""What is annotated twice: images, boxes, and objects that no anchor can tell apart."""

import os

import numpy as np

from yolov3.annotations import Problem, Record
from yolov3.data.kmeans_anchors import shape_ious

SAME_IMAGE = "image listed twice"
SAME_BOX = "box listed twice"
SAME_ANCHOR = "objects that no anchor can tell apart"


def stack_boxes(records: list[Record]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the boxes of all records as (owner (M,), boxes_xyxy (M, 4), classes (M,)).

    `owner` is the index of a box's record; boxes stay in order.
    """
    owner = np.repeat(np.arange(len(records)), [len(record.classes) for record in records])
    boxes_xyxy = np.concatenate([np.zeros((0, 4), np.float32), *(r.boxes_xyxy for r in records)])
    classes = np.concatenate([np.zeros(0, np.int32), *(record.classes for record in records)])
    return owner, boxes_xyxy, classes


def box_text(box_xyxy: np.ndarray) -> str:
    """Write a box as annotation files do, shortest digits first."""
    return ",".join(np.format_float_positional(corner, trim="-") for corner in box_xyxy)


def find_repeated_images(records: list[Record]) -> list[Problem]:
    """Warn of every image that an earlier line lists as well."""
    first_lines: dict[str, int] = {}
    found = []
    for record in records:
        first = first_lines.setdefault(os.path.normpath(record.image_path), record.line)
        if first != record.line:
            message = f"expected every image once; received {record.image_path!r} of line {first}"
            found.append(Problem(SAME_IMAGE, record.line, message))
    return found


def find_repeated_boxes(records: list[Record]) -> list[Problem]:
    """Warn of every box that its line lists before, with the same class."""
    owner, boxes_xyxy, classes = stack_boxes(records)
    found = []
    for _, second in _repeated_rows([owner, *boxes_xyxy.T, classes]):
        message = f"expected every box once; received {box_text(boxes_xyxy[second])} again"
        found.append(Problem(SAME_BOX, records[owner[second]].line, message))
    return found


def find_shared_anchors(
    records: list[Record],
    sizes_wh: np.ndarray,
    anchors: np.ndarray,
    strides: np.ndarray,
    input_size: int,
) -> list[Problem]:
    """Warn of objects whose centres share a cell at the scale of the same best anchor.

    `sizes_wh` (R, 2) are the images' sizes in pixels, `anchors` (S, A, 2) widths and heights in
    pixels of the input, `strides` (S,) its pixels per cell. The geometry is that of images
    letterboxed to `input_size` without augmentation. At most one of such objects gets the anchor
    that fits it best. Boxes that `find_repeated_boxes` reports are left out.
    """
    owner, boxes_xyxy, classes = stack_boxes(records)
    keep = np.ones(len(owner), bool)
    keep[[second for _, second in _repeated_rows([owner, *boxes_xyxy.T, classes])]] = False
    owner, boxes_xyxy = owner[keep], boxes_xyxy[keep]
    scale, offset = _letterboxes(np.reshape(sizes_wh, (-1, 2)), input_size)  # (R, 2) each
    scale, offset = scale[owner], offset[owner]  # (M, 2)
    boxes_wh = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) * scale
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2 * scale + offset
    anchor = shape_ious(boxes_wh, np.reshape(anchors, (-1, 2))).argmax(axis=1)  # (M,)
    stride = np.asarray(strides)[anchor // np.shape(anchors)[1]]  # (M,)
    cells = centres // stride[:, np.newaxis]  # (M, 2)
    found = []
    for first, second in _repeated_rows([owner, anchor, *cells.T]):
        message = (
            f"expected a cell and anchor for each object at input size {input_size}; received "
            f"{box_text(boxes_xyxy[second])}, which shares them with {box_text(boxes_xyxy[first])}"
        )
        found.append(Problem(SAME_ANCHOR, records[owner[second]].line, message))
    return found


def _letterboxes(sizes_wh: np.ndarray, input_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and offset (R, 2) of images (R, 2), as `images.letterbox_params` rounds them."""
    fitted = np.round(sizes_wh * (input_size / sizes_wh.max(axis=1, keepdims=True)))
    fitted = np.clip(fitted, 1, input_size)
    return fitted / sizes_wh, (input_size - fitted) // 2


def _repeated_rows(columns: list[np.ndarray]) -> list[tuple[int, int]]:
    """Return (first, repeat) for every row of equal-length columns that equals an earlier row."""
    order = np.lexsort(columns)  # stable: equal rows stay in order
    equal = np.logical_and.reduce([column[order][1:] == column[order][:-1] for column in columns])
    starts = np.flatnonzero(np.concatenate([[True], ~equal]))  # of the runs of equal rows
    repeats = np.flatnonzero(equal) + 1
    firsts = starts[np.searchsorted(starts, repeats) - 1]
    return sorted(zip(order[firsts].tolist(), order[repeats].tolist(), strict=True), key=max)
