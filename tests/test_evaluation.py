"""evaluation: the table; the figures themselves are tested in test_metrics."""

import math

import pytest
from perfect_network import DENSE, SETTINGS, SIZE, dense_record, perfect_network

from yolov3.configs import Config
from yolov3.detection import Detector
from yolov3.evaluation import evaluate, format_table
from yolov3.yolov3 import build_yolov3

RESULT = {
    "mAP50": 0.5,
    "mAP75": 0.25,
    "mAP": 0.125,
    "per_class": {
        "zero": {"AP50": 0.5, "AP75": 0.25, "AP": 0.125, "images": 150, "boxes": 1200},
        "nine": {"AP50": math.nan, "AP75": math.nan, "AP": math.nan, "images": 0, "boxes": 0},
    },
    "best_threshold": 0.41,
    "precision": 0.8,
    "recall": 0.6,
    "F1": 0.7,
    "mAP_small": math.nan,
    "mAP_medium": 0.1,
    "mAP_large": 0.2,
    "milliseconds": {"read and letterbox": 1.5, "network": 20.04, "NMS": 3},
    "images": 200,
    "unreadable": 0,
    "images_per_second": 12.34,
}
for row, value in zip(RESULT["per_class"].values(), (0.5, math.nan), strict=True):
    row |= dict.fromkeys(("precision", "recall", "F1"), value)


@pytest.mark.parametrize("counts", DENSE, ids=str)
def test_who_finds_everything_has_a_map_of_one(counts, tmp_path):
    record, anchors = dense_record(tmp_path, counts), Config(**SETTINGS).anchors
    model = build_yolov3(len(counts), tiny=True, kernel_initializer="zeros")
    detector = Detector(model, input_size=SIZE, score_threshold=0.001, precision="float32")
    detector.backend.network = perfect_network(record, len(counts), anchors)
    result = evaluate(detector, [record] * 3, batch_size=2).figures
    assert result["number_format"] == "float32" and result["precision"] == 1
    assert all(row["images"] == 3 and row["F1"] == 1 for row in result["per_class"].values())
    assert [result[name] for name in ("mAP50", "mAP75", "mAP")] == pytest.approx([1, 1, 1])
    most = max(counts)
    assert result["max_detections_per_class"] == (1.5 * most if most > 100 else 100)


def test_the_table_has_a_row_per_class_and_dashes_without_truth():
    lines = format_table(RESULT).splitlines()
    assert lines[0].split() == ["images", "boxes", "P", "R", "F1", "AP50", "AP75", "AP"]
    zero = "zero 150 1,200 0.5000 0.5000 0.5000 0.5000 0.2500 0.1250"
    assert lines[1].split() == zero.split()
    assert lines[2].split() == ["nine", "0", "0", *"------"]
    mean = "all classes 200 1,200 0.8000 0.6000 0.7000 0.5000 0.2500 0.1250"
    assert lines[3].split() == mean.split()
    assert lines[4:] == [
        "P, R and F1 are at a score of 0.41, where the mean F1 is best",
        "mAP by the size of objects: small -, medium 0.1000, large 0.2000",
        "200 images, 12.3 per second",
        "stages per image: read and letterbox 1.5 ms, network 20.0 ms, NMS 3.0 ms",
    ]
    assert len({len(line) for line in lines[:4]}) == 1, "columns line up"


@pytest.mark.parametrize(("value", "is_told"), [(0.0, True), (0.02, False), (math.nan, False)])
def test_figures_of_zero_are_not_left_unexplained(value, is_told):
    table = format_table(RESULT | {"mAP50": value})
    assert ("another task, classes numbered differently" in table) == is_told
