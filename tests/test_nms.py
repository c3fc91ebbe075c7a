"""Tests of NMS without TensorFlow: the one in the graph is the referee."""

import time

import numpy as np
import pytest

from yolov3.nms import suppress, unletterbox
from yolov3.postprocess import _nms_across_classes, _nms_per_class

RULES = [
    {},
    {"agnostic": True},
    {"max_per_class": 4},
    {"agnostic": True, "max_per_class": 3},
    {"score_threshold": 0.0, "iou_threshold": 1.0, "max_detections": 500},
]


def in_graph(boxes, scores, rule):
    """Suppress with TensorFlow's kernels as `detect_boxes` does."""
    limit = rule.get("max_per_class")
    total = limit * scores.shape[-1] if limit else rule.get("max_detections", 100)
    thresholds = rule["score_threshold"], rule["iou_threshold"]
    parts = boxes[None], scores[None]
    if rule.get("agnostic"):
        parts = _nms_across_classes(*parts, *thresholds, 10_000)
    found = _nms_per_class(*parts, *thresholds, limit or total, total)
    *found, counts = (np.asarray(part) for part in found)
    return [part[0, : counts[0]] for part in found]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("num_classes", [1, 3])
def test_it_finds_what_the_graph_finds(rule, num_classes):
    rng = np.random.default_rng(len(str(rule)))
    centres, sizes = rng.uniform(0, 200, (300, 2)), rng.uniform(10, 60, (300, 2))
    boxes = np.hstack([centres - sizes / 2, centres + sizes / 2]).astype(np.float32)
    scores = rng.random((300, num_classes)).astype(np.float32)
    rule = {"score_threshold": 0.3, "iou_threshold": 0.45} | rule
    ours = suppress(boxes, scores, **rule)
    for our, their in zip(ours, in_graph(boxes, scores, rule), strict=True):
        np.testing.assert_array_equal(our, their)
    assert len(ours[1]) >= 3 and ours[0].dtype == np.float32


def test_classes_do_not_meet_wherever_their_boxes_are():
    boxes = np.float32([[380, 380, 420, 420], [-10, -10, 20, 20]])
    scores = np.float32([[0.9, 0], [0, 0.8]])
    found = suppress(boxes, scores, score_threshold=0.3, iou_threshold=0.0)
    assert found[2].tolist() == [0, 1]


def test_many_boxes_above_a_threshold_of_zero_take_no_seconds():
    rng = np.random.default_rng(0)
    corners, scores = rng.uniform(0, 400, (2535, 2)), rng.random((2535, 10), np.float32)
    boxes = np.hstack([corners, corners + rng.uniform(10, 60, (2535, 2))]).astype(np.float32)
    started = time.process_time()
    found = suppress(boxes, scores, score_threshold=0.0, iou_threshold=0.45)
    assert len(found[1]) == 100 and time.process_time() - started < 3


@pytest.mark.parametrize("agnostic", [False, True])
def test_a_score_at_the_threshold_is_a_detection_and_one_of_zero_is_none(agnostic):
    boxes, scores = np.float32([[0, 0, 9, 9], [50, 50, 60, 60]]), np.float32([[0.3], [0.0]])
    for threshold, expected in ((0.3, 1), (0.31, 0), (0.0, 1)):
        rule = {"score_threshold": threshold, "iou_threshold": 0.5, "agnostic": agnostic}
        assert len(suppress(boxes, scores, **rule)[1]) == expected


def test_nothing_is_found_where_no_score_is_high_enough():
    boxes, scores = np.zeros((9, 4), np.float32), np.zeros((9, 2), np.float32)
    found = suppress(boxes, scores, score_threshold=0.1, iou_threshold=0.5)
    assert [part.shape for part in found] == [(0, 4), (0,), (0,)]
    [back] = unletterbox(*([part] for part in found), [0], [(4, 4)], (32, 32))
    assert list(map(len, back)) == [0, 0, 0]
