"""The sizes that boxes have in the network's input, from annotations and the images' headers."""

import numpy as np

from yolov3.annotations import Record, read_annotations
from yolov3.data.collisions import stack_boxes
from yolov3.data.image_sizes import read_sizes
from yolov3.data.progress import show_progress
from yolov3.images import ImageFileError, letterbox_params

DECIMALS = 3  # of a pixel, to which sizes are told apart


def read_sized_annotations(path, num_classes: int | None = None) -> tuple[list[Record], np.ndarray]:
    """Read an annotation file and the sizes (R, 2) of its images, width and height in pixels.

    Raises ValueError naming file, line and value for a bad line or an image that cannot be read.
    """
    records = read_annotations(path, num_classes)
    paths = [record.image_path for record in records]
    sizes_wh = np.zeros((len(records), 2), int)
    for batch in show_progress(read_sizes(paths), len(paths), "reading image sizes"):
        for index, size in batch:
            if isinstance(size, ImageFileError):
                raise ValueError(
                    f"{path}:{records[index].line}: expected an image; "
                    f"received {paths[index]!r} ({size.reason})"
                )
            sizes_wh[index] = size
    return records, sizes_wh


def letterboxed_boxes(records: list[Record], sizes_wh: np.ndarray, input_size: int) -> np.ndarray:
    """Return all boxes (M, 4) as the network sees them: xyxy in pixels of the letterboxed input."""
    owner, boxes_xyxy, _ = stack_boxes(records)
    scale, offset = _letterboxes(sizes_wh, input_size)
    return boxes_xyxy * np.tile(scale, 2)[owner] + np.tile(offset, 2)[owner]


def letterboxed_sizes(records: list[Record], sizes_wh: np.ndarray, input_size: int) -> np.ndarray:
    """Return width and height (M, 2) of all boxes in pixels of the letterboxed input.

    Boxes of one size in images of one size give the same numbers, wherever they are.
    """
    owner, boxes_xyxy, _ = stack_boxes(records)
    scale, _ = _letterboxes(sizes_wh, input_size)
    return np.round(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], DECIMALS) * scale[owner]


def _letterboxes(sizes_wh, input_size) -> tuple[np.ndarray, np.ndarray]:
    """Return scale (R, 2) and offset (R, 2) in x and y of each image."""
    input_hw = (input_size, input_size)
    fits = [letterbox_params((height, width), input_hw) for width, height in sizes_wh.tolist()]
    scale = np.array([fit.scale_xy for fit in fits]).reshape(-1, 2)
    return scale, np.array([fit.offset_xy for fit in fits]).reshape(-1, 2)
