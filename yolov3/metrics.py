"""Average precision, by pycocotools, the field's referee."""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

# Positions on pycocotools' axes: of object sizes and detection limits,
ALL_AREAS, MOST_DETECTIONS = 0, -1
# and of 0.50 and 0.75 on that of the IoU thresholds 0.50, 0.55 ... 0.95.
IOU_50, IOU_75 = 0, 5


def average_precision(records, detections, class_names) -> dict:
    """Compare detections with the ground truth.

    Returns {"mAP50", "mAP75", "mAP", "per_class": {name: {"AP50", "AP75", "AP", "boxes"}}}.

    `records` has the true boxes per image (`annotations.Record`); `detections` holds, in the same
    order, (boxes_xyxy (N, 4) in pixels, scores (N,), classes (N,)). AP is the mean over IoU 0.50 to
    0.95, mAP its mean over the classes. A class without a true box has no AP (NaN) and no part in
    the means. Source: the COCO evaluation, pycocotools.
    """
    precision = _precision(records, detections, len(class_names))  # (T, C), NaN without truth
    per_class = {
        name: {**_summary(precision[:, [index]]), "boxes": _count(records, index)}
        for index, name in enumerate(class_names)
    }
    means = {f"m{name}": value for name, value in _summary(precision).items()}
    return {**means, "per_class": per_class}


def _summary(precision):
    """Average (T, C) average precisions over the classes which have any."""
    if np.isnan(precision).all():
        return {"AP50": float("nan"), "AP75": float("nan"), "AP": float("nan")}
    by_threshold = np.nanmean(precision, axis=1)  # (T,)
    values = {"AP50": by_threshold[IOU_50], "AP75": by_threshold[IOU_75], "AP": by_threshold.mean()}
    return {name: float(value) for name, value in values.items()}


def _precision(records, detections, num_classes):
    """Return the average precision per IoU threshold and class: (T, C)."""
    truth = [
        (record.boxes_xyxy, np.ones(len(record.classes)), record.classes) for record in records
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports every step
        evaluation = COCOeval(_coco(truth, num_classes), _coco(detections, num_classes), "bbox")
        # One of COCO's twelve cases, all sizes and the most detections, takes a third of the time.
        evaluation.params.areaRng = evaluation.params.areaRng[:1]
        evaluation.params.maxDets = evaluation.params.maxDets[-1:]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., ALL_AREAS, MOST_DETECTIONS]  # (T, R, C)
    precision = np.where(precision < 0, np.nan, precision)  # -1: no true box of this class
    return precision.mean(axis=1)  # (T, C)


def _coco(images, num_classes):
    """Return (boxes_xyxy, scores, classes) per image as pycocotools' data set."""
    rows = [
        (image, *row)
        for image, arrays in enumerate(images)
        for row in zip(*(np.asarray(array).tolist() for array in arrays), strict=True)
    ]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": index} for index in range(len(images))],
        "categories": [{"id": index} for index in range(num_classes)],
        "annotations": [
            {
                "id": number,  # from 1: pycocotools takes 0 for "not matched"
                "image_id": image,
                "category_id": label,
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "iscrowd": 0,
                "score": score,
            }
            for number, (image, (left, top, right, bottom), score, label) in enumerate(rows, 1)
        ],
    }
    coco.createIndex()
    return coco


def _count(records, label):
    return int(sum((record.classes == label).sum() for record in records))
