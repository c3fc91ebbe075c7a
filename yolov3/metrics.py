"""Average precision, by pycocotools, the field's referee, and the score of the best F1."""

import contextlib
import io
import math
from dataclasses import dataclass

import numpy as np
from pycocotools.cocoeval import COCOeval

from yolov3.nms import one_label, paired_ious, to_ltwh

COCO_LIMIT = 100  # detections that count per image and class
HEAD_ROOM = 1.5  # of the limit over the true boxes, for false alarms among them
IOUS = np.linspace(0.5, 0.95, 10)
IOU_50, IOU_75 = 0, 5  # positions among them
AREAS = {  # square pixels of the original image, COCO's
    "all": (0, 1e10),
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e10),
}
NO_TRUTH = -1
SCORES = np.linspace(0, 1, 1001)  # thresholds that are tried
SMOOTHED = 101  # of them: 0.1
SANE = slice(100, 901)  # of them: 0.1 to 0.9
LEAST_SHOWN = 0.01  # score: of lower ones each counts, as nobody looks at them


@dataclass(frozen=True)
class Matches:
    """D detections and G true boxes of all images, and which belong together.

    Detections are sorted by image, class and falling score. At each of A `AREAS` and T `IOUS` a
    detection is a hit, or wrong, or is ignored since it is of another size.
    """

    num_classes: int
    truth_images: np.ndarray  # (G,)
    truth_classes: np.ndarray  # (G,)
    truth_ignored: np.ndarray  # (A, G)
    images: np.ndarray  # (D,)
    classes: np.ndarray  # (D,)
    scores: np.ndarray  # (D,)
    shown: np.ndarray  # (D,) whether it is the one label of its object, as `Detector` shows it
    hits: np.ndarray  # (A, T, D)
    ignored: np.ndarray  # (A, T, D)
    truth: np.ndarray  # (D,) the true box of a hit at an IoU of 0.5, or NO_TRUTH
    own: np.ndarray  # (D,) the true box of its class that it overlaps most, or NO_TRUTH
    own_ious: np.ndarray  # (D,)
    other: np.ndarray  # (D,) the one of another class
    other_ious: np.ndarray  # (D,)

    @property
    def counts(self) -> np.ndarray:
        """The number of true boxes of each class (C,)."""
        return np.bincount(self.truth_classes, minlength=self.num_classes)


def match_detections(
    records, detections, num_classes: int, limit: int | None = None, areas=("all",)
) -> Matches:
    """Give each detection, the best first, the free true box of its class that it overlaps most.

    `records` has the true boxes per image (`annotations.Record`); `detections` holds, in the same
    order, (boxes_xyxy (N, 4) in pixels, scores (N,), classes (N,)). The best `limit` of each image
    and class count (default: `detection_limit`). A is that of `areas`, names of `AREAS`.

    These are the rules of `COCOeval.evaluateImg`, whose loops over thresholds, detections and true
    boxes take seconds for an image with hundreds of each.
    """
    limit = limit or detection_limit(records)
    ranges = np.array([AREAS[name] for name in areas])
    parts, first = [], 0
    for image, (record, found) in enumerate(zip(records, detections, strict=True)):
        parts.append(_match_image(image, record, found, limit, ranges, first))
        first += len(record.classes)
    joined = {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}
    return Matches(num_classes, **joined)


def average_precision(matches: Matches, class_names, areas=("all",)) -> dict:
    """Return {"mAP50", "mAP75", "mAP", "per_class": {name: {"AP50", "AP75", "AP", "boxes"}}}.

    AP is the mean over IoU 0.50 to 0.95, mAP its mean over the classes. A class without a true box
    has no AP (NaN) and no part in the means. Of `areas` beyond the first there is "mAP_small" and
    so on. Source: the COCO evaluation, pycocotools.
    """
    precision = precision_curves(matches).mean(axis=2)  # (A, T, C), NaN: no truth
    per_class = {
        name: {**_summary(precision[0, :, [index]].T), "boxes": int(boxes)}
        for index, (name, boxes) in enumerate(zip(class_names, matches.counts, strict=True))
    }
    means = {f"m{name}": value for name, value in _summary(precision[0]).items()}
    for name, of_size in zip(areas[1:], precision[1:], strict=True):
        means[f"mAP_{name}"] = _summary(of_size)["AP"]
    return {**means, "per_class": per_class}


def precision_curves(matches: Matches) -> np.ndarray:
    """Return the precision (A, T, 101, C) at recalls of 0 to 1, NaN for a class without truth."""
    areas = range(len(matches.hits))
    by_class = []
    for label in range(matches.num_classes):
        of_class = matches.classes == label
        scores, is_true = matches.scores[of_class], matches.truth_classes == label
        arrays = (matches.hits[..., of_class], matches.ignored[..., of_class])
        ignored = matches.truth_ignored[:, is_true]
        by_class.append([_accumulate(scores, *(x[a] for x in arrays), ignored[a]) for a in areas])
    return np.moveaxis(by_class, 0, -1)


def score_curves(matches: Matches) -> np.ndarray:
    """Return precision, recall and F1 (3, C, S) of what is shown above each of `SCORES`.

    They are at an IoU of 0.5. NaN is the precision where nothing is found, and all of a class
    without truth.
    """
    curves = np.full((3, matches.num_classes, len(SCORES)), np.nan)
    for label, truths in enumerate(matches.counts):
        if truths:
            of_class = matches.shown & (matches.classes == label)
            hits, found = (
                chosen.sum() - np.searchsorted(np.sort(matches.scores[chosen]), SCORES)
                for chosen in (of_class & (matches.truth != NO_TRUTH), of_class)
            )
            precision = np.divide(hits, found, out=np.full(len(SCORES), np.nan), where=found > 0)
            curves[:, label] = precision, hits / truths, 2 * hits / (found + truths)
    return curves


def best_point(curves: np.ndarray, least: float = 0.0) -> dict[str, float]:
    """Return the best_threshold of curves (3, S) over `SCORES`, and precision, recall, F1 there.

    It is where F1 is best; empty where no detection is right, or where there is no truth. So that a
    few boxes do not decide, F1 is smoothed over 0.1 of score, as Ultralytics does, the middle of
    equals is taken, and none below 0.1 or above 0.9, nor below `least`, the lowest score found.
    Above 0.9 there is nothing to choose from: it is `least` itself.
    """
    if least > SCORES[SANE][-1]:
        point = point_at(curves, least)
        return point if point["F1"] > 0 else {}
    padded = np.pad(curves[2], SMOOTHED // 2, mode="edge")
    smooth = np.convolve(padded, np.full(SMOOTHED, 1 / SMOOTHED), mode="valid")[SANE]
    smooth = np.where(SCORES[SANE] < least, 0, smooth)
    if not smooth.max() > 0:
        return {}
    best = np.flatnonzero(np.isclose(smooth, smooth.max()))
    return point_at(curves, max(least, round(float(SCORES[SANE][best[len(best) // 2]]), 2)))


def point_at(curves: np.ndarray, threshold: float) -> dict[str, float]:
    """Return what `best_point` does, at any score threshold."""
    precision, recall, f1 = curves[:, round(threshold * (len(SCORES) - 1))].tolist()
    return {"best_threshold": threshold, "precision": precision, "recall": recall, "F1": f1}


def mean_over_classes(values: np.ndarray) -> np.ndarray:
    """Return the mean (..., S) of (..., C, S) over the classes that are not NaN, if any."""
    is_known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(is_known, values, 0).sum(axis=-2) / is_known.sum(axis=-2)


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


def _summary(precision):
    """Average (T, C) average precisions over the classes which have any."""
    if np.isnan(precision).all():
        return {"AP50": float("nan"), "AP75": float("nan"), "AP": float("nan")}
    by_threshold = np.nanmean(precision, axis=1)  # (T,)
    values = {"AP50": by_threshold[IOU_50], "AP75": by_threshold[IOU_75], "AP": by_threshold.mean()}
    return {name: float(value) for name, value in values.items()}


def _accumulate(scores, hits, ignored, truth_ignored):
    """Return the precision (T, 101) of a class, NaN where no true box counts."""
    evaluation = COCOeval(iouType="bbox")
    evaluation._paramsEval = params = evaluation.params
    params.iouThrs, params.areaRng, params.maxDets = IOUS[: len(hits)], [(0, 1)], [len(scores)]
    params.imgIds, params.catIds = [0], [0]  # all images as one
    arrays = {"dtScores": scores, "dtMatches": hits, "dtIgnore": ignored, "gtIgnore": truth_ignored}
    evaluation.evalImgs = [arrays]
    with contextlib.redirect_stdout(io.StringIO()):  # it reports every step
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0, 0, 0]
    return np.where(precision < 0, np.nan, precision)  # -1: no true box


def _match_image(image, record, detections, limit, ranges, first):
    """Return the fields of `Matches` for an image, whose true boxes count from `first`."""
    boxes_xyxy, scores, classes = map(np.asarray, detections)
    order = np.lexsort((-scores, classes))
    rank = np.arange(len(order)) - np.searchsorted(classes[order], classes[order])
    order = order[rank < limit]
    boxes_xyxy, scores, classes = boxes_xyxy[order], scores[order], classes[order]
    ious = paired_ious(boxes_xyxy, record.boxes_xyxy)  # (D, G)
    is_own = classes[:, np.newaxis] == record.classes
    own, other = np.where(is_own, ious, 0), np.where(is_own, 0, ious)
    truth_ignored = _is_outside(record.boxes_xyxy, ranges)  # (A, G)
    matched = _match_boxes(own, truth_ignored)  # (A, T, D)
    hits = matched != NO_TRUTH
    padded = np.pad(truth_ignored, ((0, 0), (0, 1)))[:, np.newaxis]  # (A, 1, G + 1)
    matched_ignored = np.take_along_axis(padded, matched, axis=-1)
    outside = _is_outside(boxes_xyxy, ranges)[:, np.newaxis]
    shown = scores < LEAST_SHOWN
    likely = np.flatnonzero(~shown)
    shown[likely] = one_label(boxes_xyxy[likely], scores[likely], classes[likely])
    return {
        "truth_images": np.full(len(record.classes), image),
        "truth_classes": record.classes,
        "truth_ignored": truth_ignored,
        "images": np.full(len(order), image),
        "classes": classes,
        "scores": scores,
        "shown": shown,
        "hits": hits,
        "ignored": np.where(hits, matched_ignored, outside),
        "truth": np.where(hits[0, 0], first + matched[0, 0], NO_TRUTH),
        "own": _nearest(own, first),
        "other": _nearest(other, first),
        "own_ious": own.max(axis=1, initial=0),
        "other_ious": other.max(axis=1, initial=0),
    }


def _nearest(ious, first):
    """Return the true box (D,) that each overlaps most, by IoU (D, G), or NO_TRUTH."""
    padded = np.pad(ious, ((0, 0), (0, 1)))  # there may be none
    return np.where(padded.any(axis=1), first + padded.argmax(axis=1), NO_TRUTH)


def _match_boxes(ious, truth_ignored):
    """Return the true box (A, T, D) of each detection, by IoU (D, G), or NO_TRUTH.

    True boxes that are ignored (A, G) are taken only where no other is free.
    """
    areas, thresholds = len(truth_ignored), IOUS[:, np.newaxis]
    matched = np.full((areas, len(IOUS), len(ious)), NO_TRUTH)
    is_free = np.ones((areas, len(IOUS), ious.shape[1]), bool)
    for index in np.flatnonzero((ious >= IOUS[0]).any(axis=1)):
        near = np.flatnonzero(ious[index] >= IOUS[0])[::-1]  # of equals the last counts, as there
        good = is_free[..., near] & (ious[index, near] >= thresholds)  # (A, T, near)
        values = np.where(good, ious[index, near], 0)
        counting = np.where(truth_ignored[:, np.newaxis, near], 0, values)
        values = np.where(counting.any(axis=-1, keepdims=True), counting, values)
        area, threshold = np.nonzero(values.any(axis=-1))
        best = near[values[area, threshold].argmax(axis=-1)]
        matched[area, threshold, index], is_free[area, threshold, best] = best, False
    return matched


def _is_outside(boxes_xyxy, ranges):
    """Tell which boxes (N, 4) are smaller or larger than each range (A, 2) of areas: (A, N)."""
    area = to_ltwh(boxes_xyxy)[:, 2:].prod(axis=1)
    low, high = ranges.T[..., np.newaxis]
    return (area < low) | (area > high)
