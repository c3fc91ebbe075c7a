"""Tests of the average precision: by hand, and against pycocotools used as its manual says."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from yolov3.annotations import Record
from yolov3.metrics import average_precision

NAMES = ["a", "b"]
BOX = [10.0, 10.0, 30.0, 40.0]
FAR = [60.0, 60.0, 90.0, 90.0]


def truth(*boxes_and_classes):
    boxes = np.float32([box for box, _ in boxes_and_classes]).reshape(-1, 4)
    return Record("x.png", boxes, np.int32([label for _, label in boxes_and_classes]), 1)


def found(*rows):
    boxes = np.float32([box for box, _, _ in rows]).reshape(-1, 4)
    return boxes, np.float32([s for _, s, _ in rows]), np.int32([label for *_, label in rows])


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


def random_scenes(rng, images=12):
    records, detections = [], []
    for _ in range(images):
        count = rng.integers(0, 6)
        corner = rng.uniform(0, 300, (count, 2))
        boxes = np.hstack([corner, corner + rng.uniform(5, 120, (count, 2))])
        classes = rng.integers(0, 3, count)
        records.append(truth(*zip(boxes, classes, strict=True)))
        shifted = boxes + rng.normal(0, 6, (count, 4))
        shifted[:, 2:] = np.maximum(shifted[:, 2:], shifted[:, :2] + 1)
        labels = np.where(rng.random(count) < 0.8, classes, rng.integers(0, 3, count))
        detections.append(found(*zip(shifted, rng.random(count), labels, strict=True)))
    return records, detections


def to_json(records, detections, folder):
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
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate("abc")],
        "annotations": [{**a, "id": i} for i, a in enumerate(annotations, start=1)],
    }
    (folder / "truth.json").write_text(json.dumps(content))
    (folder / "results.json").write_text(json.dumps(results))
    return str(folder / "truth.json"), str(folder / "results.json")


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_pycocotools_on_files(tmp_path, seed):
    records, detections = random_scenes(np.random.default_rng(seed))
    truth_path, results_path = to_json(records, detections, tmp_path)
    coco = COCO(truth_path)
    evaluation = COCOeval(coco, coco.loadRes(results_path), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    result = average_precision(records, detections, list("abc"))
    ours = [result["mAP"], result["mAP50"], result["mAP75"]]
    assert 0.05 < ours[0] < 0.95
    np.testing.assert_allclose(ours, evaluation.stats[:3], atol=1e-9)
