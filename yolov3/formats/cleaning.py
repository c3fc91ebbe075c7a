"""Make a data set fit to train on: images that can be read, boxes that show part of them."""

from dataclasses import replace

import numpy as np

from yolov3.annotations import box_text
from yolov3.data.image_sizes import read_sizes
from yolov3.formats.common import ConversionLog
from yolov3.formats.data_set import AnnotatedImage, DataSet
from yolov3.images import ImageFileError

# A millionth of a pixel: floating point dust goes, so every format gives the same boxes back.
PIXEL_DECIMALS = 6
NOT_READ = "which cannot be read"
EDGE_TOLERANCE = 1.0  # pixels that a box may reach over the edge, from rounding, without a note


def clean(data: DataSet, log: ConversionLog, trust_sizes: bool = False) -> DataSet:
    """Drop images that cannot be used and boxes that show nothing; clip boxes to their images.

    Sizes come from the headers of the images, or with `trust_sizes` from the annotations. The boxes
    returned are in pixels, in steps of a millionth. Raises ValueError if no image is left.
    """
    if not data.images:
        raise ValueError(f"{data.sources[0]}: expected images; received none")
    if trust_sizes:
        sizes = [image.size_wh for image in data.images]
    else:
        sizes = read_sizes([image.path for image in data.images], "reading image sizes")
    faults = [_fault(image, size) for image, size in zip(data.images, sizes, strict=True)]
    if all(faults):
        _refuse(data, *faults[0])
    kept = []
    for image, size, fault in zip(data.images, sizes, faults, strict=True):
        if fault:
            reason, detail = fault
            log.add("dropped", "image", reason, [f"{image.path!r} ({detail})"])
            log.add("dropped", "box", "as their images were dropped", [], len(image.classes))
        else:
            kept.append(_clean_boxes(image, size, data.relative, log))
    return replace(data, images=kept, relative=False)


def _fault(image: AnnotatedImage, size) -> tuple[str, str] | None:
    """Say why an image whose size was read cannot be used, as a reason and its details."""
    if isinstance(size, ImageFileError):
        return NOT_READ, size.reason
    if min(size) <= 0:
        return "whose size is not known", "no size given"
    if any(given > 0 and given != read for given, read in zip(image.size_wh, size, strict=True)):
        details = "is {}x{}, annotated as {}x{}".format(*size, *image.size_wh)
        return "whose annotation gives another size", details
    return None


def _refuse(data: DataSet, reason: str, detail: str) -> None:
    hint = " (--images says where those of voc, coco and yolo are)" if reason == NOT_READ else ""
    raise ValueError(
        f"{data.sources[0]}: expected images; none of the {len(data.images):,} can be used, "
        f"first {data.images[0].path!r}, {reason} ({detail}){hint}"
    )


def _clean_boxes(image: AnnotatedImage, size_wh, relative: bool, log) -> AnnotatedImage:
    """Return an image with its size and the boxes that show part of it, in pixels."""
    edges = np.tile(size_wh, 2)  # (4,), of the right and the bottom
    boxes_xyxy = (image.boxes_xyxy * (edges if relative else 1)).round(PIXEL_DECIMALS)
    clipped = np.clip(boxes_xyxy, 0, edges)
    empty = _is_empty(boxes_xyxy)
    outside = _is_empty(clipped) & ~empty
    keep = ~(empty | outside)
    cut = keep & (np.abs(clipped - boxes_xyxy) > EDGE_TOLERANCE).any(axis=1)
    for action, affected, reason in (
        ("dropped", empty, "empty or inverted"),
        ("dropped", outside, "outside their image"),
        ("cut", cut, "at the edge of their image"),
    ):
        examples = [f"{image.path!r} {box_text(box)}" for box in boxes_xyxy[affected]]
        log.add(action, "box", reason, examples)
    return AnnotatedImage(image.path, tuple(size_wh), clipped[keep], image.classes[keep])


def _is_empty(boxes_xyxy: np.ndarray) -> np.ndarray:
    rounded = boxes_xyxy.astype(np.float32)  # as an annotation line holds it
    return (rounded[:, 2:] <= rounded[:, :2]).any(axis=1)
