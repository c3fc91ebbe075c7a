"""Average precision, by pycocotools, the field's referee."""

import contextlib
import io
import math

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from yolov3.annotations import stack_boxes

COCO_LIMIT = 100  # detections that count per image and class
HEAD_ROOM = 1.5  # of the limit over the true boxes, for false alarms among them
# Of the IoU thresholds 0.50, 0.55 ... 0.95: how many, and the positions of 0.50 and 0.75.
NUM_IOUS, IOU_50, IOU_75 = 10, 0, 5
USED_BY_ACCUMULATE = "dtScores", "dtMatches", "dtIgnore", "gtIgnore"


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
    most = _most_of_a_class(records)
    return COCO_LIMIT if most <= COCO_LIMIT else math.ceil(HEAD_ROOM * most)


def limit_note(records) -> str:
    """Say why more detections count than in COCO's own evaluation; nothing where they do not."""
    limit = detection_limit(records)
    if limit == COCO_LIMIT:
        return ""
    return (
        f"mAP counts up to {limit:,} detections per image and class, COCO's {COCO_LIMIT}: an image "
        f"has {_most_of_a_class(records):,} true boxes of one class"
    )


def _summary(precision):
    """Average (T, C) average precisions over the classes which have any."""
    if np.isnan(precision).all():
        return {"AP50": float("nan"), "AP75": float("nan"), "AP": float("nan")}
    by_threshold = np.nanmean(precision, axis=1)  # (T,)
    values = {"AP50": by_threshold[IOU_50], "AP75": by_threshold[IOU_75], "AP": by_threshold.mean()}
    return {name: float(value) for name, value in values.items()}


def _precision(records, detections, num_classes, limit):
    """Return the average precision per IoU threshold and class: (T, C)."""
    image, boxes_xyxy, classes = stack_boxes(records)
    truth = image, boxes_xyxy, np.ones(len(classes)), classes
    image = np.repeat(np.arange(len(detections)), [len(scores) for _, scores, _ in detections])
    found = image, *map(np.concatenate, zip(*detections, strict=True))
    precision = np.full((NUM_IOUS, num_classes), np.nan)
    for label in np.unique(classes):  # one by one: pycocotools takes 1 kB per detection
        parts = ([part[rows[-1] == label] for part in rows[:-1]] for rows in (truth, found))
        precision[:, label] = _precision_of_class(*parts, len(records), limit)
    return precision


def _precision_of_class(truth, found, images, limit):
    """Compare (image numbers (N,), boxes_xyxy (N, 4), scores (N,)): (T,)."""
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports every step
        evaluation = _Evaluation(_coco(truth, images), _coco(found, images), "bbox")
        # One of COCO's twelve cases, all sizes and the most detections, takes a third of the time.
        evaluation.params.areaRng = evaluation.params.areaRng[:1]
        evaluation.params.maxDets = [limit]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, 0, 0, 0].mean(axis=1)  # of (T, R, 1, 1, 1)


class _Evaluation(COCOeval):
    """COCO's evaluation with one loop over the detections of an image instead of three.

    Those over thresholds and true boxes take seconds per image where it has hundreds of boxes.
    """

    def evaluateImg(self, image, label, _, limit):
        """Give each detection, the best first, the free true box that it overlaps most."""
        scores = np.array([found["score"] for found in self._dts[image, label]])
        scores = -np.sort(-scores)[:limit]
        thresholds, truths = self.params.iouThrs, len(self._gts[image, label])
        matched = np.zeros((len(thresholds), len(scores)), bool)
        is_free = np.ones((len(thresholds), truths), bool)
        ious = np.reshape(self.ious[image, label], (-1, truths)) if truths else np.zeros((0, 1))
        for index in np.flatnonzero((ious >= thresholds[0]).any(axis=1)):
            free = np.where(is_free, ious[index], 0)  # (T, G)
            best = truths - 1 - free[:, ::-1].argmax(axis=1)  # of equals the last, as pycocotools
            hit = np.flatnonzero(free.max(axis=1) >= thresholds)
            matched[hit, index], is_free[hit, best[hit]] = True, False
        none = np.zeros_like(matched), np.zeros(truths, bool)
        return dict(zip(USED_BY_ACCUMULATE, (scores, matched, *none), strict=True))


def _coco(rows, images):
    """Return boxes of one class as pycocotools' data set."""
    coco = COCO()
    coco.dataset = {
        "images": [{"id": index} for index in range(images)],
        "categories": [{"id": 0}],
        "annotations": [
            {
                "id": number,  # from 1: pycocotools takes 0 for "not matched"
                "image_id": image,
                "category_id": 0,
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
                "score": score,
            }
            for number, (image, (left, top, right, bottom), score) in enumerate(
                zip(*(part.tolist() for part in rows), strict=True), 1
            )
        ],
    }
    coco.createIndex()
    return coco


def _most_of_a_class(records):
    return max((np.bincount(record.classes).max(initial=0) for record in records), default=0)


def _count(records, label):
    return int(sum((record.classes == label).sum() for record in records))
