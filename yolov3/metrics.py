"""Average precision, by pycocotools, the field's referee."""

import contextlib
import io
import math

import numpy as np
from pycocotools import mask
from pycocotools.cocoeval import COCOeval

COCO_LIMIT = 100  # detections that count per image and class
HEAD_ROOM = 1.5  # of the limit over the true boxes, for false alarms among them
# Positions of 0.50 and 0.75 among the IoU thresholds 0.50, 0.55 ... 0.95.
IOU_50, IOU_75 = 0, 5


def average_precision(records, detections, class_names, limit: int | None = None) -> dict:
    """Compare detections with the ground truth.

    Returns {"mAP50", "mAP75", "mAP", "per_class": {name: {"AP50", "AP75", "AP", "boxes"}}}.

    `records` has the true boxes per image (`annotations.Record`); `detections` holds, in the same
    order, (boxes_xyxy (N, 4) in pixels, scores (N,), classes (N,)). The best `limit` of each image
    and class count (default: `detection_limit`). AP is the mean over IoU 0.50 to 0.95, mAP its mean
    over the classes. A class without a true box has no AP (NaN) and no part in the means. Source:
    the COCO evaluation, pycocotools.
    """
    limit = limit or detection_limit(records)
    precision = _precision(records, detections, len(class_names), limit)  # (T, C), NaN: no truth
    per_class = {
        name: {**_summary(precision[:, [index]]), "boxes": _count(records, index)}
        for index, name in enumerate(class_names)
    }
    means = {f"m{name}": value for name, value in _summary(precision).items()}
    return {**means, "per_class": per_class}


def detection_limit(records) -> int:
    """Return how many detections of each image and class count: COCO's 100, or more if needed.

    Where an image has more true boxes of one class, no detector could find them all in 100.
    """
    most = max((np.bincount(record.classes).max(initial=0) for record in records), default=0)
    return COCO_LIMIT if most <= COCO_LIMIT else math.ceil(HEAD_ROOM * most)


def limit_note(records) -> str:
    """Say why more detections count than in COCO's own evaluation; nothing where they do not."""
    limit = detection_limit(records)
    if limit == COCO_LIMIT:
        return ""
    why = f"an image has more true boxes of a class than COCO's {COCO_LIMIT}"
    return f"mAP counts up to {limit:,} detections per image and class: {why}"


def paired_ious(boxes_xyxy, others_xyxy) -> np.ndarray:
    """Return the IoU (N, M) of each of the boxes (N, 4) with each of the others (M, 4)."""
    shape = len(boxes_xyxy), len(others_xyxy)
    ious = mask.iou(_xywh(boxes_xyxy), _xywh(others_xyxy), np.zeros(shape[1]))
    return np.reshape(ious, shape)  # a list where there are none


def _summary(precision):
    """Average (T, C) average precisions over the classes which have any."""
    if np.isnan(precision).all():
        return {"AP50": float("nan"), "AP75": float("nan"), "AP": float("nan")}
    by_threshold = np.nanmean(precision, axis=1)  # (T,)
    values = {"AP50": by_threshold[IOU_50], "AP75": by_threshold[IOU_75], "AP": by_threshold.mean()}
    return {name: float(value) for name, value in values.items()}


def _precision(records, detections, num_classes, limit):
    """Return the average precision per IoU threshold and class: (T, C), NaN without truth."""
    evaluation = COCOeval(iouType="bbox")
    evaluation._paramsEval = params = evaluation.params
    # One of COCO's twelve cases, all sizes and the most detections.
    params.areaRng, params.maxDets = params.areaRng[:1], [limit]
    params.imgIds, params.catIds = list(range(len(records))), [0]
    precision = np.full((len(params.iouThrs), num_classes), np.nan)
    for label in range(num_classes):  # one at a time takes less memory
        evaluation.evalImgs = [
            _match(record, found, label, params.iouThrs, limit)
            for record, found in zip(records, detections, strict=True)
        ]
        with contextlib.redirect_stdout(io.StringIO()):  # it reports every step
            evaluation.accumulate()
        precision[:, label] = evaluation.eval["precision"].mean(axis=(1, 2, 3, 4))
    return np.where(precision < 0, np.nan, precision)  # -1: no true box of this class


def _match(record, detections, label, thresholds, limit):
    """Give each detection of a class, the best first, the free true box that it overlaps most.

    Returns what `COCOeval.accumulate` reads of `COCOeval.evaluateImg`, whose loops over thresholds,
    detections and true boxes take seconds for an image with hundreds of each.
    """
    boxes_xyxy, scores, classes = map(np.asarray, detections)
    chosen = np.flatnonzero(classes == label)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")[:limit]]
    truth = record.boxes_xyxy[record.classes == label]
    is_free = np.ones((len(thresholds), len(truth)), bool)
    matches = np.zeros((len(thresholds), len(chosen)), bool)
    if matches.size and is_free.size:
        ious = paired_ious(boxes_xyxy[chosen], truth)  # (D, G)
        for index in np.flatnonzero((ious >= thresholds[0]).any(axis=1)):
            free = np.where(is_free, ious[index], 0)  # (T, G)
            best = len(truth) - 1 - free[:, ::-1].argmax(axis=1)  # of equals the last, as there
            hit = np.flatnonzero(free.max(axis=1) >= thresholds)
            matches[hit, index], is_free[hit, best[hit]] = True, False
    ignored = {"dtIgnore": np.zeros_like(matches), "gtIgnore": np.zeros(len(truth), bool)}
    return {"dtScores": scores[chosen], "dtMatches": matches, **ignored}


def _xywh(boxes_xyxy):
    """Turn corners (N, 4) into left, top, width and height."""
    left_top, right_bottom = np.split(np.asarray(boxes_xyxy, np.float64), 2, axis=1)
    return np.hstack([left_top, right_bottom - left_top])


def _count(records, label):
    return int(sum((record.classes == label).sum() for record in records))
