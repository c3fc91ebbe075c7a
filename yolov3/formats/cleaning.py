"""Make a data set fit to train on: images that can be read, boxes that show part of them."""

from dataclasses import replace

import numpy as np

from yolov3.annotations import box_text
from yolov3.data.image_sizes import read_sizes
from yolov3.formats.box_table import BoxTable
from yolov3.formats.common import ConversionLog
from yolov3.images import ImageFileError

# A millionth of a pixel: floating point dust goes, so every format gives the same boxes back.
PIXEL_DECIMALS = 6
NOT_READ = "which cannot be read"
EDGE_TOLERANCE = 1.0  # pixels that a box may reach over the edge, from rounding, without a note


def clean(table: BoxTable, log: ConversionLog, trust_sizes: bool = False) -> BoxTable:
    """Drop images that cannot be used and boxes that show nothing; clip boxes to their images.

    Sizes come from the headers of the images, or with `trust_sizes` from the table. The boxes
    returned are in pixels, in steps of a millionth. Raises ValueError if no image is left.
    """
    if not table.image_paths:
        raise ValueError(f"{table.sources[0]}: expected images; received none")
    table = _keep_given_sizes(table, log) if trust_sizes else _measure_images(table, log)
    if table.relative:
        scale = np.tile(table.sizes_wh, 2)[table.image_index]  # (M, 4)
        table = replace(table, boxes_xyxy=table.boxes_xyxy * scale, relative=False)
    return _clean_boxes(table, log)


def _keep_given_sizes(table: BoxTable, log: ConversionLog) -> BoxTable:
    unknown = (table.sizes_wh <= 0).any(axis=1)
    details = ["no size given"] * len(unknown)
    return _drop_images(table, unknown, "whose size is not known", details, log)


def _measure_images(table: BoxTable, log: ConversionLog) -> BoxTable:
    """Read the images' sizes; drop those that are unreadable or not as large as annotated."""
    sizes = read_sizes(table.image_paths, "reading image sizes")
    bad = np.array([isinstance(size, ImageFileError) for size in sizes], bool)
    details = [getattr(size, "reason", "") for size in sizes]
    table = _drop_images(table, bad, NOT_READ, details, log)
    sizes_wh = [size for size, dropped in zip(sizes, bad, strict=True) if not dropped]
    sizes_wh = np.array(sizes_wh, int).reshape(-1, 2)
    given_wh, table = table.sizes_wh, replace(table, sizes_wh=sizes_wh)
    differs = ((given_wh > 0) & (given_wh != sizes_wh)).any(axis=1)
    details = [
        f"is {width}x{height}, annotated as {given_width}x{given_height}"
        for (width, height), (given_width, given_height) in zip(sizes_wh, given_wh, strict=True)
    ]
    return _drop_images(table, differs, "whose annotation gives another size", details, log)


def _drop_images(table: BoxTable, bad, reason: str, details: list, log: ConversionLog) -> BoxTable:
    """Drop the images of a mask (R,) with their boxes; `details` has a text for each image."""
    shown = [f"{table.image_paths[index]!r} ({details[index]})" for index in np.flatnonzero(bad)]
    if len(shown) == len(bad):
        hint = " (--images says where those of voc, coco and yolo are)"
        raise ValueError(
            f"{table.sources[0]}: expected images; received {len(bad):,} {reason}, "
            f"first {shown[0]}{hint if reason == NOT_READ else ''}"
        )
    log.add("dropped", "image", reason, shown)
    log.add("dropped", "box", "as their images were dropped", [], int(bad[table.image_index].sum()))
    return table.keep_images(~bad)


def _clean_boxes(table: BoxTable, log: ConversionLog) -> BoxTable:
    table = replace(table, boxes_xyxy=table.boxes_xyxy.round(PIXEL_DECIMALS))
    empty = _is_empty(table.boxes_xyxy)
    _note_boxes(table, empty, "dropped", "empty or inverted", log)
    table = table.keep_boxes(~empty)
    limits = np.tile(table.sizes_wh, 2)[table.image_index]  # (M, 4)
    clipped = np.clip(table.boxes_xyxy, 0, limits)
    outside = _is_empty(clipped)
    _note_boxes(table, outside, "dropped", "outside their image", log)
    cut = (np.abs(clipped - table.boxes_xyxy) > EDGE_TOLERANCE).any(axis=1) & ~outside
    _note_boxes(table, cut, "cut", "at the edge of their image", log)
    return replace(table, boxes_xyxy=clipped).keep_boxes(~outside)


def _is_empty(boxes_xyxy: np.ndarray) -> np.ndarray:
    rounded = boxes_xyxy.astype(np.float32)  # as an annotation line holds it
    return (rounded[:, 2:] <= rounded[:, :2]).any(axis=1)


def _note_boxes(table: BoxTable, affected, action: str, reason: str, log: ConversionLog) -> None:
    boxes, indices = table.boxes_xyxy[affected], table.image_index[affected]
    examples = [
        f"{table.image_paths[index]!r} {box_text(box)}"
        for index, box in zip(indices, boxes, strict=True)
    ]
    log.add(action, "box", reason, examples)
