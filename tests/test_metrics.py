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


def measure(records, detections):
    result = average_precision(records, detections, NAMES)
    return result["mAP50"], result["mAP75"], result["mAP"]


def test_perfect():
    result = average_precision(
        [truth((BOX, 0), (FAR, 1)), truth()],
        [found((BOX, 0.9, 0), (FAR, 0.3, 1)), found()],
        NAMES,
    )
    assert (result["mAP50"], result["mAP75"], result["mAP"]) == pytest.approx((1, 1, 1))
    row = {"AP50": 1.0, "AP75": 1.0, "AP": 1.0, "boxes": 1}
    assert result["per_class"]["b"] == pytest.approx(row)


def test_one_of_two():
    # Precision 1 up to recall 0.5: 51 of the 101 recall points 0.00, 0.01 ... 1.00.
    half = measure([truth((BOX, 0), (FAR, 0))], [found((BOX, 0.9, 0))])
    assert half == pytest.approx((51 / 101,) * 3)


def test_false_alarm_above_and_below():
    records = [truth((BOX, 0))]
    assert measure(records, [found((BOX, 0.5, 0), (FAR, 0.9, 0))]) == pytest.approx((0.5,) * 3)
    assert measure(records, [found((BOX, 0.9, 0), (FAR, 0.5, 0))]) == pytest.approx((1,) * 3)


def test_class_without_truth_has_no_part_in_the_mean():
    result = average_precision([truth((BOX, 0))], [found((BOX, 0.9, 0), (FAR, 0.8, 1))], NAMES)
    assert result["mAP50"] == pytest.approx(1)
    row = result["per_class"]["b"]
    assert row["boxes"] == 0 and np.isnan([row["AP50"], row["AP75"], row["AP"]]).all()


def test_nothing_found():
    result = average_precision([truth((BOX, 0))], [found()], NAMES)
    assert (result["mAP50"], result["mAP75"], result["mAP"]) == (0, 0, 0)
    assert result["per_class"]["a"]["AP"] == 0 and np.isnan(result["per_class"]["b"]["AP"])


@pytest.mark.parametrize("detections", [found(), found((BOX, 0.9, 0))])
def test_no_truth_at_all(detections):
    assert np.isnan(measure([truth()], [detections])).all()


def test_wrong_class():
    assert measure([truth((BOX, 0))], [found((BOX, 0.9, 1))]) == (0, 0, 0)


def test_iou_of_0_62():
    # It counts for the thresholds 0.50, 0.55 and 0.60 of ten.
    low = found(([0, 0, 10, 6.2], 0.9, 0))
    assert measure([truth(([0, 0, 10, 10], 0))], [low]) == pytest.approx((1, 0, 0.3))


def test_right_box_in_the_wrong_image():
    assert measure([truth((BOX, 0)), truth()], [found(), found((BOX, 0.9, 0))]) == (0, 0, 0)


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
