"""NMS without TensorFlow, one label per object, and boxes back to the pixels of their images."""

import cv2
import numpy as np
from pycocotools import mask

from yolov3.images import boxes_from_letterbox, letterbox_params

MAX_DETECTIONS = 100  # per image
CANDIDATES = 3000  # of a class: with more, which only very low thresholds have, NMS takes seconds
# Boxes of two classes above this are one object. Of people and their clothes or horses it is less.
SAME_OBJECT_IOU = 0.6


def suppress(
    boxes_xyxy,
    scores,
    *,
    score_threshold,
    iou_threshold,
    agnostic=False,
    max_detections=MAX_DETECTIONS,
    max_per_class=None,
) -> tuple:
    """Do for one image what `postprocess.detect_boxes` does behind the raw maps.

    `boxes_xyxy` is (K, 4), `scores` (K, C). Returns the boxes (N, 4) that are kept, their scores
    (N,), falling, and classes (N,).
    """
    is_high = (scores >= score_threshold) & (scores > 0)
    if agnostic:  # the best class alone
        is_high &= np.eye(scores.shape[1], dtype=bool)[scores.argmax(axis=1)]
    rows, labels = np.nonzero(is_high)
    order = np.argsort(-scores[rows, labels], kind="stable")
    rows, labels = rows[order], labels[order]
    boxes_xyxy, scores = boxes_xyxy[rows], scores[rows, labels]
    boxes_ltwh = to_ltwh(boxes_xyxy)
    of_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    kept = np.zeros(len(rows), bool)
    for group in [np.arange(len(rows))] if agnostic else of_class:
        candidates = boxes_ltwh[group], scores[group]
        best = cv2.dnn.NMSBoxes(*candidates, 0.0, iou_threshold, top_k=CANDIDATES)
        kept[group[np.array(best, int)]] = True
    if max_per_class:
        for group in of_class:
            best_first = group[kept[group]]
            kept[best_first[max_per_class:]] = False
    kept = np.flatnonzero(kept)[: None if max_per_class else max_detections]
    return boxes_xyxy[kept], scores[kept], labels[kept].astype(np.int32)


def one_label(boxes_xyxy, scores, classes) -> np.ndarray:
    """Tell which of the detections (N,) that NMS per class keeps are the one label of an object.

    The best first, each takes away those of other classes whose IoU with it is above
    `SAME_OBJECT_IOU`. What is taken away takes nothing away.
    """
    order = np.argsort(-scores, kind="stable")
    boxes_xyxy, classes = boxes_xyxy[order], classes[order]
    is_same = paired_ious(boxes_xyxy, boxes_xyxy) > SAME_OBJECT_IOU
    is_same &= classes[:, np.newaxis] != classes
    shown = np.ones(len(scores), bool)
    for place in np.flatnonzero(is_same.any(axis=1)):
        if shown[order[place]]:
            worse = order[place + 1 :]
            shown[worse[is_same[place, place + 1 :]]] = False
    return shown


def paired_ious(boxes_xyxy, others_xyxy) -> np.ndarray:
    """Return the IoU (N, M) of each of the boxes (N, 4) with each of the others (M, 4)."""
    shape = len(boxes_xyxy), len(others_xyxy)
    ious = mask.iou(to_ltwh(boxes_xyxy), to_ltwh(others_xyxy), np.zeros(shape[1]))
    return np.reshape(ious, shape)  # a list where there are none


def to_ltwh(boxes_xyxy) -> np.ndarray:
    """Turn corners (N, 4) into left, top, width and height, as COCO and OpenCV have boxes."""
    left_top, right_bottom = np.split(np.asarray(boxes_xyxy, np.float64), 2, axis=1)
    return np.hstack([left_top, right_bottom - left_top])


def unletterbox(boxes_xyxy, scores, classes, counts, image_sizes_hw, input_hw) -> list[tuple]:
    """Take the detections of a batch, padded arrays or lists, to pixels of each image.

    Returns [(boxes_xyxy, scores, classes)]; none for an image of 0 x 0, which could not be read.
    """
    parts = (boxes_xyxy, scores, classes, counts)
    parts = (part if isinstance(part, list) else np.asarray(part) for part in parts)
    found = []
    for boxes, score, label, count, image_hw in zip(*parts, image_sizes_hw, strict=True):
        count = count if all(image_hw) else 0
        if count:
            params = letterbox_params(image_hw, input_hw)
            boxes = boxes_from_letterbox(boxes, params, image_hw)
        found.append((boxes[:count], score[:count], label[:count]))
    return found
