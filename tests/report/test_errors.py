"""The six kinds of error and what they cost: by hand, and against an independent count."""

from collections import Counter

import numpy as np
import pytest
from scenes_of_boxes import BOX, FAR, found, random_scenes, truth

from yolov3.metrics import match_detections
from yolov3.report.errors import KINDS, find_errors, sort_errors

LOW = [10.0, 10.0, 30.0, 18.0]  # an IoU of 4 / 15 with BOX
TALL = [10.0, 10.0, 30.0, 37.0]  # 0.9
CASES = {  # rows found in an image with a box of class 0, and the errors
    "right": ([(BOX, 0.9, 0)], []),
    "class": ([(BOX, 0.9, 1)], ["class"]),
    "place": ([(LOW, 0.9, 0)], ["place"]),
    "both": ([(LOW, 0.9, 1)], ["both", "missed"]),
    "duplicate": ([(BOX, 0.9, 0), (TALL, 0.8, 0)], ["duplicate"]),
    "background": ([(BOX, 0.9, 0), (FAR, 0.8, 1)], ["background"]),
    "missed": ([], ["missed"]),
    "of a found box": ([(BOX, 0.9, 0), (BOX, 0.8, 1)], ["class"]),
    "place before class": ([(LOW, 0.9, 0), (BOX, 0.5, 1)], ["place", "class"]),
}


@pytest.mark.parametrize("case", CASES)
def test_kinds_by_hand(case):
    rows, expected = CASES[case]
    kinds, missed = sort_errors(match_detections([truth((BOX, 0))], [found(*rows)], 2))
    assert sorted([*filter(None, kinds), *["missed"] * missed.sum()]) == sorted(expected)


def iou(a, b):
    overlap = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1)]
    shared = overlap[0] * overlap[1] if min(overlap) > 0 else 0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (sum(areas) - shared)


def ap50(rows, truths):
    """Return the average precision of [(score, is right)] by its definition."""
    points, right = [], 0
    for number, (_, is_right) in enumerate(sorted(rows, key=lambda row: -row[0]), start=1):
        right += is_right
        points.append((right / truths, right / number))
    recalls = np.linspace(0, 1, 101)  # the floats that pycocotools compares with
    return np.mean([max([p for r, p in points if r >= step], default=0) for step in recalls])


def count_errors(records, detections, num_classes):
    """Return the number of errors by kind, and what each costs, with loops over boxes."""
    rows, unfound, counts = [], Counter(), Counter(c for r in records for c in r.classes.tolist())
    near = set()
    for image, (record, (boxes, scores, classes)) in enumerate(
        zip(records, detections, strict=True)
    ):
        used, wrong = set(), []
        for d in np.argsort(-scores, kind="stable").tolist():
            ious = [iou(boxes[d], box) for box in record.boxes_xyxy]
            own = {g: v for g, v in enumerate(ious) if record.classes[g] == classes[d]}
            other = {g: v for g, v in enumerate(ious) if record.classes[g] != classes[d]}
            free = {g: v for g, v in own.items() if v >= 0.5 and g not in used}
            if free:
                used.add(max(free, key=free.get))
                rows.append((int(classes[d]), float(scores[d]), "", None))
            else:
                wrong.append((d, own, other))
        for d, own, other in wrong:
            best_own, best_other = max(own.values(), default=0), max(other.values(), default=0)
            target = None
            if 0.1 <= best_own < 0.5:
                kind, target = "place", max(own, key=own.get)
            elif best_other >= 0.5:
                kind, target = "class", max(other, key=other.get)
            elif best_own >= 0.5:
                kind = "duplicate"
            else:
                kind = "both" if best_other > 0.1 else "background"
            if target is not None and target not in used:
                target = (image, target, int(record.classes[target]))
                near.add(target[:2])
            else:
                target = None
            rows.append((int(classes[d]), float(scores[d]), kind, target))
        unfound.update({(image, g): c for g, c in enumerate(record.classes) if g not in used})
    missed = Counter(int(c) for key, c in unfound.items() if key not in near)

    def mean(rows, counts):
        of = {c: [(s, r) for label, s, r in rows if label == c] for c in range(num_classes)}
        return np.mean([ap50(of[c], n) if n else 1.0 for c, n in counts.items()])

    now = mean([(label, s, kind == "") for label, s, kind, _ in rows], counts)
    found_or_near = {c: n - missed[c] for c, n in counts.items()}
    costs = {"missed": mean([(c, s, k == "") for c, s, k, _ in rows], found_or_near)}
    for fixed in KINDS[:-1]:
        best = {}
        for _, score, kind, target in rows:
            if kind == fixed and target and score > best.get(target, (0,))[0]:
                best[target] = (score,)
        kept = [(c, s, k == "") for c, s, k, _ in rows if k != fixed]
        costs[fixed] = mean(kept + [(t[2], s, True) for t, (s,) in best.items()], counts)
    kinds = Counter(kind for *_, kind, _ in rows if kind) + Counter(missed=missed.total())
    return kinds, {kind: costs[kind] - now for kind in KINDS}


@pytest.mark.parametrize("seed", range(3))
def test_against_an_independent_count(seed):
    records, detections = random_scenes(np.random.default_rng(seed), images=30, extra=2)
    matches = match_detections(records, detections, 3)
    kinds, missed = sort_errors(matches)
    counts, costs = count_errors(records, detections, 3)
    assert set(counts) == set(KINDS), "all kinds occur"
    assert Counter(filter(None, kinds)) + Counter(missed=int(missed.sum())) == counts
    errors = find_errors(matches, len(records), 0.3)
    assert errors.costs == pytest.approx(costs, abs=1e-9)
    boxes = np.bincount(matches.truth_classes, minlength=3)
    np.testing.assert_array_equal(errors.confusion[:3].sum(axis=1), boxes)
    shown = matches.shown & (matches.scores >= 0.3)
    assert errors.confusion[:, :3].sum() == shown.sum()
    right = shown & (matches.truth >= 0)
    assert errors.confusion[:3, :3].trace() == right.sum()
    assert errors.by_image[:, :5].sum() == (shown & ~right).sum()


def test_calibration_by_hand():
    records = [truth((BOX, 0))] * 10
    scores = [0.85] * 10
    rows = [[(BOX if i < 6 else FAR, score, 0)] for i, score in enumerate(scores)]
    errors = find_errors(match_detections(records, [found(*r) for r in rows], 1), 10, 0.5)
    assert errors.bins[8] == pytest.approx([10, 0.85, 0.6])
    assert errors.calibration_error == pytest.approx(0.25)
