"""NMS without TensorFlow, and detections back to the pixels of their images."""

import cv2
import numpy as np

from yolov3.images import boxes_from_letterbox, letterbox_params

MAX_DETECTIONS = 100  # per image
CANDIDATES = 3000  # of a class: with more, which only very low thresholds have, NMS takes seconds


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
    boxes_xywh = np.hstack([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]])
    of_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    kept = np.zeros(len(rows), bool)
    for group in [np.arange(len(rows))] if agnostic else of_class:
        candidates = boxes_xywh[group].astype(float), scores[group]
        best = cv2.dnn.NMSBoxes(*candidates, 0.0, iou_threshold, top_k=CANDIDATES)
        kept[group[np.array(best, int)]] = True
    if max_per_class:
        for group in of_class:
            kept[group[kept[group]][max_per_class:]] = False
    kept = np.flatnonzero(kept)[: None if max_per_class else max_detections]
    return boxes_xyxy[kept], scores[kept], labels[kept].astype(np.int32)


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
