"""Detections back to the pixels of their images."""

import numpy as np

from yolov3.images import boxes_from_letterbox, letterbox_params

MAX_DETECTIONS = 100  # per image


def unletterbox(boxes_xyxy, scores, classes, counts, image_sizes_hw, input_hw) -> list[tuple]:
    """Take the padded detections of a batch to pixels of each image.

    Returns [(boxes_xyxy, scores, classes)]; none for an image of 0 x 0, which could not be read.
    """
    parts = (np.asarray(part) for part in (boxes_xyxy, scores, classes, counts))
    found = []
    for boxes, score, label, count, image_hw in zip(*parts, image_sizes_hw, strict=True):
        count = count if all(image_hw) else 0
        if count:
            params = letterbox_params(image_hw, input_hw)
            boxes = boxes_from_letterbox(boxes, params, image_hw)
        found.append((boxes[:count], score[:count], label[:count]))
    return found
