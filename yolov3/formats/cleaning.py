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


class Unusable(Exception):
    """Nobody can train on an image: the reason, and details."""


def clean(data: DataSet, log: ConversionLog) -> DataSet:
    """Drop images that cannot be used or have a box that shows nothing; clip the other boxes.

    Without its broken box an image would be trained on with an object that has no label. Sizes come
    from the headers of the images. The boxes returned are in pixels, in steps of a millionth.
    Raises ValueError if no image is left.
    """
    kept, faults = [], []
    sizes = read_sizes([image.path for image in data.images], "reading image sizes")
    for image, size in zip(data.images, sizes, strict=True):
        try:
            kept.append(_fit(image, size, data.relative, log))
        except Unusable as fault:
            reason, details = fault.args
            log.add("dropped", "image", reason, [f"{image.path!r} ({details})"])
            faults.append(f"{image.path!r}, {reason} ({details})")
    if not kept:
        first = f"of the {len(faults):,} can be used, first {faults[0]}" if faults else "given"
        hint = f" ({log.images_hint()})" * (NOT_READ in first)
        raise ValueError(f"{data.sources[0]}: expected images; none {first}{hint}")
    cleaned = replace(data, images=kept, relative=False)
    lost = data.num_boxes - cleaned.num_boxes
    log.add("dropped", "box", "as their images were dropped", [], lost)
    return cleaned


def _fit(image: AnnotatedImage, size, relative: bool, log: ConversionLog) -> AnnotatedImage:
    """Return an image with its boxes in pixels, inside of it; log those that are cut by that.

    `size` is (width, height) or the error of reading it. Raises Unusable.
    """
    try:
        format_line(image.path, image.boxes_xyxy[:0], image.classes[:0])
    except ValueError:
        reason = "whose path no annotation line can hold"
        raise Unusable(reason, "not UTF-8, or a line break") from None
    if isinstance(size, ImageFileError):
        raise Unusable(NOT_READ, size.reason)
    if any(given > 0 and given != read for given, read in zip(image.size_wh, size, strict=True)):
        details = "is {}x{}, annotated as {}x{}".format(*size, *image.size_wh)
        raise Unusable("whose annotation gives another size", details)
    limits = np.tile(size, 2)
    boxes_xyxy = (image.boxes_xyxy * (limits if relative else 1)).round(PIXEL_DECIMALS)
    clipped = np.clip(boxes_xyxy, 0, limits)
    reasons = "with a box that is empty or inverted", "with a box outside of it"
    for reason, tested in zip(reasons, (boxes_xyxy, clipped), strict=True):
        rounded = tested.astype(np.float32)  # as an annotation line holds it
        broken = (rounded[:, 2:] <= rounded[:, :2]).any(axis=1)
        if broken.any():
            raise Unusable(reason, box_text(boxes_xyxy[broken.argmax()]))
    is_cut = (np.abs(clipped - boxes_xyxy) > EDGE_TOLERANCE).any(axis=1)
    examples = [f"{image.path!r} {box_text(box)}" for box in boxes_xyxy[is_cut]]
    log.add("cut", "box", "at the edge of their image", examples)
    return image._replace(size_wh=size, boxes_xyxy=clipped)
