"""Anchors and the boxes of a data set: k-means, and how well anchors fit.

Source: Redmon and Farhadi 2016, "YOLO9000", section 2: d(box, anchor) = 1 - IoU with a common
centre, so that small boxes count as much as large ones. An anchor is the median of its boxes, not
the mean: sizes have a long tail, and a few huge boxes would pull the mean above all others. Neither
is the exact minimum of this distance, so the best anchors of all rounds are kept, not the last.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from yolov3.annotations import Record, stack_boxes
from yolov3.images import letterbox_params

GOOD_IOU = 0.5  # a box is recalled if its best anchor overlaps it by more
STARTS = 5  # k-means ends in a local optimum: the best of several is kept
LEAST_GAIN = 1e-4  # of the mean IoU by a round, or k-means ends
DECIMALS = 3  # of a pixel, to which sizes are told apart


class Fit(NamedTuple):
    """How well anchors fit boxes."""

    recall: float  # fraction of boxes whose best anchor has an IoU above GOOD_IOU
    mean_iou: float  # of the boxes with their best anchors


class Boxes(NamedTuple):
    """All boxes of a data set as the network sees them, in pixels of the letterboxed input."""

    centres: np.ndarray  # (M, 2)
    sizes_wh: np.ndarray  # (M, 2)


def letterboxed(records: Sequence[Record], sizes_wh: np.ndarray, input_size: int) -> Boxes:
    """Return the boxes of records, whose images have the sizes (R, 2) in pixels.

    Boxes of one size in images of one size give the same numbers, wherever they are.
    """
    fits = [letterbox_params((h, w), (input_size, input_size)) for w, h in sizes_wh.tolist()]
    image_index, boxes_xyxy, _ = stack_boxes(records)
    scale = np.reshape([fit.scale_xy for fit in fits], (-1, 2))[image_index]
    offset = np.reshape([fit.offset_xy for fit in fits], (-1, 2))[image_index]
    low, high = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    return Boxes((low + high) / 2 * scale + offset, np.round(high - low, DECIMALS) * scale)


def shape_ious(boxes_wh: np.ndarray, anchors_wh: np.ndarray) -> np.ndarray:
    """Return the IoU (M, K) of boxes (M, 2) and anchors (K, 2) with a common centre.

    The same as `boxes.shape_iou`, without the seconds that importing TensorFlow takes.
    """
    overlap = np.minimum(boxes_wh[:, :1], anchors_wh[:, 0])  # (M, K), of the widths
    overlap *= np.minimum(boxes_wh[:, 1:], anchors_wh[:, 1])
    areas = boxes_wh.prod(axis=1)[:, np.newaxis] + anchors_wh.prod(axis=1)  # (M, K)
    return overlap / (areas - overlap)


def anchor_fit(boxes_wh: np.ndarray, anchors_wh: np.ndarray) -> Fit:
    """Say how well anchors (K, 2) fit boxes (M, 2), M > 0."""
    best = shape_ious(boxes_wh, np.asarray(anchors_wh, float)).max(axis=1)  # (M,)
    return Fit(float((best > GOOD_IOU).mean()), float(best.mean()))


def kmeans_anchors(boxes_wh: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Return `count` anchors (K, 2) in whole pixels for boxes (M, 2), small to large areas.

    The same seed gives the same anchors. Raises ValueError for fewer different sizes than anchors.
    """
    different = len(np.unique(boxes_wh, axis=0))
    if different < count:
        raise ValueError(f"expected boxes of {count} different sizes or more; received {different}")
    rng = np.random.default_rng(seed)
    runs = [_run_kmeans(boxes_wh, _choose_start(boxes_wh, count, rng)) for _ in range(STARTS)]
    anchors_wh, _ = max(runs, key=lambda run: run[1])
    anchors_wh = np.maximum(np.round(anchors_wh), 1).astype(int)
    return anchors_wh[np.lexsort([anchors_wh[:, 0], anchors_wh.prod(axis=1)])]


def _choose_start(boxes_wh: np.ndarray, count: int, rng) -> np.ndarray:
    """Choose boxes as anchors (K, 2), each likely to be far from those before (k-means++).

    Source: Arthur and Vassilvitskii 2007: the chance of a box is its squared distance.
    """
    chosen = [int(rng.integers(len(boxes_wh)))]
    distance = np.ones(len(boxes_wh))
    while len(chosen) < count:
        newest = boxes_wh[chosen[-1:]]
        distance = np.minimum(distance, 1 - shape_ious(boxes_wh, newest)[:, 0])
        chance = np.maximum(distance, 0) ** 2
        chosen.append(int(rng.choice(len(boxes_wh), p=chance / chance.sum())))
    return boxes_wh[chosen]


def _run_kmeans(boxes_wh: np.ndarray, anchors_wh: np.ndarray) -> tuple[np.ndarray, float]:
    """Move anchors (K, 2) to the medians of their boxes; return the best and their mean IoU."""
    best_anchors, best_mean = anchors_wh, 0.0
    while True:
        ious = shape_ious(boxes_wh, anchors_wh)  # (M, K)
        nearest = ious.argmax(axis=1)  # (M,)
        mean = ious.max(axis=1).mean()
        gain = mean - best_mean
        if gain > 0:
            best_anchors, best_mean = anchors_wh, mean
        if gain < LEAST_GAIN:
            return best_anchors, best_mean
        anchors_wh = anchors_wh.copy()
        for k in np.unique(nearest):  # an anchor without boxes stays where it is
            anchors_wh[k] = np.median(boxes_wh[nearest == k], axis=0)
