"""Make a data set fit to train on: images that can be read, boxes that show part of them."""

from dataclasses import replace

import numpy as np

from yolov3.annotations import box_text, format_line
from yolov3.data.image_files import read_sizes
from yolov3.formats.common import ConversionLog
from yolov3.formats.data_set import AnnotatedImage, DataSet
from yolov3.images import ImageFileError

# A millionth of a pixel: floating point dust goes, so every format gives the same boxes back.
PIXEL_DECIMALS = 6
NOT_READ = "which cannot be read"
EDGE_TOLERANCE = 1.0  # pixels that a box may reach over the edge, from rounding, without a note


def clean(data: DataSet, log: ConversionLog) -> DataSet:
    """Drop images that cannot be used or have a box that shows nothing; clip the other boxes.

    Without its broken box an image would be trained on with an object that has no label. Sizes come
    from the headers of the images. The boxes returned are in pixels, in steps of a millionth.
    Raises ValueError if no image is left.
    """
    kept, faults = [], []
    sizes = read_sizes([image.path for image in data.images], "reading image sizes")
    for image, size in zip(data.images, sizes, strict=True):
        fault = _fault_of_image(image, size)
        if not fault:
            scale = np.tile(size, 2) if data.relative else 1
            boxes_xyxy = (image.boxes_xyxy * scale).round(PIXEL_DECIMALS)
            fault = _fault_of_boxes(boxes_xyxy, size)
        if fault:
            reason, details = fault
            log.add("dropped", "image", reason, [f"{image.path!r} ({details})"])
            faults.append(f"{image.path!r}, {reason} ({details})")
        else:
            kept.append(_clip(image._replace(size_wh=size, boxes_xyxy=boxes_xyxy), log))
    if not kept:
        first = f"of the {len(faults):,} can be used, first {faults[0]}" if faults else "given"
        hint = f" ({log.images_hint()})" * (NOT_READ in first)
        raise ValueError(f"{data.sources[0]}: expected images; none {first}{hint}")
    cleaned = replace(data, images=kept, relative=False)
    lost = data.num_boxes - cleaned.num_boxes
    log.add("dropped", "box", "as their images were dropped", [], lost)
    return cleaned


def _fault_of_image(image: AnnotatedImage, size) -> tuple[str, str] | None:
    """Say why an image cannot be used, as a reason and its details; `size` may be an error."""
    try:
        format_line(image.path, image.boxes_xyxy[:0], image.classes[:0])
    except ValueError:
        return "whose path no annotation line can hold", "not UTF-8, or a line break"
    if isinstance(size, ImageFileError):
        return NOT_READ, size.reason
    if any(given > 0 and given != read for given, read in zip(image.size_wh, size, strict=True)):
        details = "is {}x{}, annotated as {}x{}".format(*size, *image.size_wh)
        return "whose annotation gives another size", details
    return None


def _fault_of_boxes(boxes_xyxy: np.ndarray, size_wh) -> tuple[str, str] | None:
    """Say which box, in pixels, shows nothing of its image, as a reason and the box."""
    clipped = np.clip(boxes_xyxy, 0, np.tile(size_wh, 2))
    for reason, broken in (
        ("with a box that is empty or inverted", _is_empty(boxes_xyxy)),
        ("with a box outside of it", _is_empty(clipped)),
    ):
        if broken.any():
            return reason, box_text(boxes_xyxy[broken.argmax()])
    return None


def _clip(image: AnnotatedImage, log: ConversionLog) -> AnnotatedImage:
    """Cut off what boxes have outside of their image; log it where that is more than rounding."""
    clipped = np.clip(image.boxes_xyxy, 0, np.tile(image.size_wh, 2))
    cut = (np.abs(clipped - image.boxes_xyxy) > EDGE_TOLERANCE).any(axis=1)
    examples = [f"{image.path!r} {box_text(box)}" for box in image.boxes_xyxy[cut]]
    log.add("cut", "box", "at the edge of their image", examples)
    return image._replace(boxes_xyxy=clipped)


def _is_empty(boxes_xyxy: np.ndarray) -> np.ndarray:
    rounded = boxes_xyxy.astype(np.float32)  # as an annotation line holds it
    return (rounded[:, 2:] <= rounded[:, :2]).any(axis=1)
