"""Tests of the average precision: by hand, and against pycocotools used as its manual says."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scenes_of_boxes import BOX, FAR, found, random_scenes, truth

from yolov3 import metrics
from yolov3.metrics import (
    AREAS,
    best_point,
    detection_limit,
    limit_note,
    match_detections,
    mean_over_classes,
    score_curves,
)

NAMES = ["a", "b"]


def average_precision(records, detections, names, limit=None, areas=("all",)):
    matches = match_detections(records, detections, len(names), limit, areas)
    return metrics.average_precision(matches, names, areas)


HALF, ALL, NONE = (0.5,) * 3, (1,) * 3, (0,) * 3
ONE = [truth((BOX, 0))]
CASES = {
    "perfect": ([truth((BOX, 0), (FAR, 1)), truth()], [[(BOX, 0.9, 0), (FAR, 0.3, 1)], []], ALL),
    # Precision 1 up to recall 0.5: 51 of the 101 recall points 0.00, 0.01 ... 1.00.
    "one of two": ([truth((BOX, 0), (FAR, 0))], [[(BOX, 0.9, 0)]], (51 / 101,) * 3),
    "a better false alarm": (ONE, [[(BOX, 0.5, 0), (FAR, 0.9, 0)]], HALF),
    "a worse false alarm": (ONE, [[(BOX, 0.9, 0), (FAR, 0.5, 0)]], ALL),
    "a class without truth has no part": (ONE, [[(BOX, 0.9, 0), (FAR, 0.8, 1)]], ALL),
    "nothing found": (ONE, [[]], NONE),
    "no truth and nothing found": ([truth()], [[]], (np.nan,) * 3),
    "no truth at all": ([truth()], [[(BOX, 0.9, 0)]], (np.nan,) * 3),
    "the wrong class": (ONE, [[(BOX, 0.9, 1)]], NONE),
    # An IoU of 0.62 counts for the thresholds 0.50, 0.55 and 0.60 of ten.
    "too low": ([truth(([0, 0, 10, 10], 0))], [[([0, 0, 10, 6.2], 0.9, 0)]], (1, 0, 0.3)),
    "in the wrong image": ([truth((BOX, 0)), truth()], [[], [(BOX, 0.9, 0)]], NONE),
}


@pytest.mark.parametrize("case", CASES)
def test_by_hand(case):
    records, rows, expected = CASES[case]
    result = average_precision(records, [found(*image) for image in rows], NAMES)
    means = [result[name] for name in ("mAP50", "mAP75", "mAP")]
    assert means == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(("rows", "expected"), [([(BOX, 0.9, 0), (FAR, 0.8, 1)], 1), ([], 0)])
def test_each_class_has_its_own_row(rows, expected):
    per_class = average_precision(ONE, [found(*rows)], NAMES)["per_class"]
    for name, value, boxes in (("a", expected, 1), ("b", np.nan, 0)):
        row = {"AP50": value, "AP75": value, "AP": value, "boxes": boxes}
        assert per_class[name] == pytest.approx(row, nan_ok=True)


def to_json(records, detections, folder, num_classes=3):
    """Write the files that pycocotools documents; ids start at 1."""

    def row(image, box, label):
        left, top, right, bottom = map(float, box)
        bbox = [left, top, right - left, bottom - top]
        return {"image_id": image + 1, "category_id": int(label) + 1, "bbox": bbox}

    annotations = [
        {**row(i, b, c), "area": row(i, b, c)["bbox"][2] * row(i, b, c)["bbox"][3], "iscrowd": 0}
        for i, record in enumerate(records)
        for b, c in zip(record.boxes_xyxy, record.classes, strict=True)
    ]
    results = [
        {**row(i, b, c), "score": float(s)}
        for i, rows in enumerate(detections)
        for b, s, c in zip(*rows, strict=True)
    ]
    content = {
        "images": [{"id": i + 1} for i in range(len(records))],
        "categories": [{"id": i + 1, "name": str(i)} for i in range(num_classes)],
        "annotations": [{**a, "id": i} for i, a in enumerate(annotations, start=1)],
    }
    (folder / "truth.json").write_text(json.dumps(content))
    (folder / "results.json").write_text(json.dumps(results))
    return str(folder / "truth.json"), str(folder / "results.json")


def test_objects_of_each_size_are_counted_as_by_pycocotools(tmp_path):
    records, detections = random_scenes(np.random.default_rng(5), images=40)
    ours = average_precision(records, detections, list("abc"), areas=tuple(AREAS))
    truth_path, results_path = to_json(records, detections, tmp_path)
    coco = COCO(truth_path)
    evaluation = COCOeval(coco, coco.loadRes(results_path), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    by_size = [ours[f"mAP_{name}"] for name in ("small", "medium", "large")]
    assert len(set(by_size)) == 3
    np.testing.assert_allclose([ours["mAP"], *by_size], evaluation.stats[[0, 3, 4, 5]], atol=1e-9)


@pytest.mark.parametrize(
    ("hits", "misses", "expected"),
    [
        ([0.95], [], (0.5, 1, 1)),  # the middle of all that are as good
        ([0.02], [], None),  # nothing is right at a score that anybody would use
        ([0.99, 0.98, 0.97], [0.01] * 9, (0.5, 1, 1)),
        ([0.8, 0.7], [0.5, 0.4, 0.3] * 3, (0.6, 1, 1)),
        ([0.7, 0.2], [0.4] * 8, (0.55, 1, 0.5)),
        ([], [0.9], None),
    ],
)
def test_the_best_threshold_of_a_few_boxes(hits, misses, expected):
    scenes = [truth((BOX, 0))] * len(hits) + [truth()] * len(misses) or [truth((BOX, 0))]
    curves = score_curves(match_detections(scenes, [found((BOX, s, 0)) for s in hits + misses], 2))
    point = best_point(mean_over_classes(curves))
    assert np.isnan(curves[:, 1]).all()
    if expected is None:
        assert point == {}
    else:
        assert best_point(mean_over_classes(curves), 0.8).get("best_threshold", 1) >= 0.8
        values = [point[name] for name in ("best_threshold", "precision", "recall")]
        assert values == pytest.approx(expected, abs=0.06)
        assert point["F1"] == pytest.approx(2 * values[1] * values[2] / sum(values[1:]))


def test_an_object_counts_once_as_it_is_shown():
    rows = [(BOX, 0.6, 1), (BOX, 0.9, 0), ([10, 10, 30, 26], 0.5, 1), (FAR, 0.2, 0)]
    matches = match_detections([truth((BOX, 0), (FAR, 1))], [found(*rows)], 2)
    shown = {round(float(s), 1) for s in matches.scores[matches.shown]}
    assert shown == {0.9, 0.5, 0.2}  # the one of 0.5 overlaps both by 16 / 30
    precision, recall, _ = score_curves(matches)[..., 550]  # at a score of 0.55
    assert recall.tolist() == [1, 0]
    np.testing.assert_array_equal(precision, [1, np.nan])  # of the second class nothing is shown
    np.testing.assert_array_equal(mean_over_classes(np.array([precision])[..., None]), [[1]])


def by_the_manual(records, detections, folder, num_classes=3, limit=100):
    """Return mAP, mAP50 and mAP75 as pycocotools prints them."""
    truth_path, results_path = to_json(records, detections, folder, num_classes)
    coco = COCO(truth_path)
    evaluation = COCOeval(coco, coco.loadRes(results_path), "bbox")
    evaluation.params.maxDets = [1, 10, limit]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    precision = evaluation.eval["precision"][..., 0, -1]  # summarize takes the mean AP at 100 only
    return [precision[precision > -1].mean(), *evaluation.stats[1:3]]


def means(result):
    return [result[name] for name in ("mAP", "mAP50", "mAP75")]


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_pycocotools_on_files(tmp_path, seed):
    records, detections = random_scenes(np.random.default_rng(seed))
    ours = means(average_precision(records, detections, list("abc")))
    assert 0.05 < ours[0] < 0.95
    np.testing.assert_allclose(ours, by_the_manual(records, detections, tmp_path), atol=1e-9)


def dense_scene(rng, counts, false_alarms):
    """Return an image with many true boxes of each class on a grid, and what a detector finds."""
    classes = np.repeat(np.arange(len(counts)), counts)
    column, row = np.divmod(rng.permutation(len(classes)), int(np.ceil(len(classes) ** 0.5)))
    boxes = np.column_stack([column, row, column + 1, row + 1]) * 20.0 + [0, 0, -6, -6]
    chosen = np.concatenate([np.arange(len(boxes)), rng.integers(0, len(boxes), false_alarms)])
    moved = boxes[chosen] + rng.integers(-2, 3, (len(chosen), 4))  # whole numbers: equal IoUs, too
    scores = np.round(rng.random(len(chosen)), 3)  # some are equal
    return (
        truth(*zip(boxes, classes, strict=True)),
        found(*zip(moved, scores, classes[chosen], strict=True)),
    )


@pytest.mark.parametrize(
    ("counts", "limit"),
    [([80, 80], 100), ([150], 225), ([5] * 80, 100), ([130, 3, 0, 60], 195), ([101] * 3, 152)],
)
def test_equal_to_pycocotools_on_dense_images(tmp_path, counts, limit):
    rng = np.random.default_rng(0)
    scenes = [dense_scene(rng, counts, extra) for extra in (0, 40, 4 * sum(counts))]
    records, detections = zip(*scenes, strict=True)
    assert detection_limit(records) == limit
    ours = means(average_precision(records, detections, [str(i) for i in range(len(counts))]))
    assert 0.1 < ours[0] < 0.9
    theirs = by_the_manual(records, detections, tmp_path, len(counts), limit)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("counts", [[100], [80, 80], [150], [101, 1], [20] * 80, [700]])
def test_who_finds_everything_has_a_map_of_one(counts):
    record, (_, scores, classes) = dense_scene(np.random.default_rng(0), counts, 0)
    perfect = [(record.boxes_xyxy, scores, classes)]
    names = [str(label) for label in range(len(counts))]
    assert means(average_precision([record], perfect, names)) == [1, 1, 1]
    note = limit_note([record, truth()])
    assert bool(note) == (max(counts) > 100)
    if note:
        assert "an image has more true boxes of a class than COCO's 100" in note


def test_a_limit_of_ones_own(tmp_path):
    record, found_in_it = dense_scene(np.random.default_rng(0), [30, 30], 30)
    ours = means(average_precision([record], [found_in_it], NAMES, limit=20))
    theirs = by_the_manual([record], [found_in_it], tmp_path, 2, 20)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    assert ours[1] < 0.7
