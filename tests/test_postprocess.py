"""Tests of score, suppression and order on planted raw maps."""

import numpy as np
import pytest

from yolov3.postprocess import MAX_DETECTIONS, detect_boxes

STRIDE, CLASSES = 8, 2
ANCHORS = [(16, 16)] * 3
SURE, NEVER = 20.0, -20.0


def logit(probability):
    return np.log(probability / (1 - probability))


def raw_map(objects, grid=8):
    """Plant objects (row, column, anchor, class, score), each 16 x 16 around its cell's centre."""
    raw = np.zeros((1, grid, grid, 3, 5 + CLASSES), np.float32)
    raw[..., 4:] = NEVER
    for row, column, anchor, label, score in objects:
        raw[0, row, column, anchor, 4] = logit(score)
        raw[0, row, column, anchor, 5 + label] = SURE
    return raw


def detect(raw, score_threshold=0.1, iou_threshold=0.45, anchors=ANCHORS, agnostic=False, **limit):
    """Return per image (boxes_xyxy, scores, classes)."""
    found = detect_boxes(
        [raw],
        anchors=[anchors],
        strides=[STRIDE],
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        agnostic=agnostic,
        **limit,
    )
    boxes, scores, classes, counts = (part.numpy() for part in found)
    return [(boxes[i, :n], scores[i, :n], classes[i, :n]) for i, n in enumerate(counts)]


def test_box_score_and_class():
    (boxes, scores, classes) = detect(raw_map([(2, 3, 1, 1, 0.8)]))[0]
    np.testing.assert_allclose(boxes, [[20, 12, 36, 28]], atol=1e-4)  # around (28, 20)
    np.testing.assert_allclose(scores, [0.8], atol=1e-5)
    assert classes.tolist() == [1] and classes.dtype == np.int32


def test_score_is_confidence_times_class_probability():
    raw = raw_map([(2, 3, 0, 0, 0.8)])
    raw[0, 2, 3, 0, 5:] = logit(0.5), logit(0.25)
    boxes, scores, classes = detect(raw)[0]
    np.testing.assert_allclose(scores, [0.4, 0.2], atol=1e-5)
    assert classes.tolist() == [0, 1]


def test_same_class_is_suppressed_and_another_is_not():
    pair = [(2, 3, 0, 0, 0.6), (2, 3, 1, 0, 0.9)]
    boxes, scores, _ = detect(raw_map(pair))[0]
    np.testing.assert_allclose(scores, [0.9], atol=1e-5)
    pair[1] = (2, 3, 1, 1, 0.9)
    boxes, scores, classes = detect(raw_map(pair))[0]
    np.testing.assert_allclose(scores, [0.9, 0.6], atol=1e-5)
    assert classes.tolist() == [1, 0]


@pytest.mark.parametrize(("iou_threshold", "count"), [(0.32, 1), (0.35, 2)])
def test_iou_threshold(iou_threshold, count):
    neighbours = [(2, 3, 0, 0, 0.6), (2, 4, 0, 0, 0.9)]  # 8 apart, 16 wide: IoU 8 / 24
    assert len(detect(raw_map(neighbours), iou_threshold=iou_threshold)[0][1]) == count


@pytest.mark.parametrize(("score_threshold", "count"), [(0.59, 2), (0.61, 1), (0.95, 0)])
def test_score_threshold(score_threshold, count):
    apart = [(0, 0, 0, 0, 0.6), (6, 6, 0, 0, 0.9)]
    assert len(detect(raw_map(apart), score_threshold)[0][1]) == count


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize(
    ("limit", "count"),
    [({}, MAX_DETECTIONS), ({"max_detections": 7}, 7), ({"max_detections": 300}, 144)],
)
def test_the_best_by_falling_score_up_to_a_limit(limit, count, agnostic):
    scores = np.linspace(0.2, 0.9, 144)
    rng = np.random.default_rng(0)
    cells = rng.permutation(144)
    objects = [(c // 12, c % 12, 0, i % 2, s) for i, (c, s) in enumerate(zip(cells, scores))]  # noqa: B905
    raw = raw_map(objects, grid=12)
    found = detect(raw, anchors=[(4, 4)] * 3, agnostic=agnostic, **limit)[0][1]
    np.testing.assert_allclose(found, scores[::-1][:count], atol=1e-5)


@pytest.mark.parametrize("agnostic", [False, True])
def test_images_of_a_batch_do_not_mix(agnostic):
    one = raw_map([(2, 3, 0, 0, 0.6), (5, 5, 2, 1, 0.7)])
    two = raw_map([(2, 3, 0, 0, 0.9)])
    empty = raw_map([])
    together = detect(np.concatenate([one, empty, two]), agnostic=agnostic)
    for ours, raw in zip(together, (one, empty, two), strict=True):
        for our, alone in zip(ours, detect(raw, agnostic=agnostic)[0], strict=True):
            np.testing.assert_array_equal(our, alone)
    assert [len(scores) for _, scores, _ in together] == [2, 0, 1]


def test_across_classes_an_object_gets_one_box_and_its_best_class():
    raw = raw_map([(2, 3, 0, 0, 0.6), (2, 3, 1, 1, 0.9), (6, 6, 0, 0, 0.7)])
    raw[0, 6, 6, 0, 5:] = logit(0.5), logit(0.75)
    boxes, scores, classes = detect(raw, agnostic=True)[0]
    np.testing.assert_allclose(boxes, [[20, 12, 36, 28], [44, 44, 60, 60]], atol=1e-4)
    np.testing.assert_allclose(scores, [0.9, 0.525], atol=1e-5)
    assert classes.tolist() == [1, 1] and classes.dtype == np.int32


def test_across_classes_it_is_greedy_suppression_of_each_boxs_best_class():
    # More candidates than the 512 that TensorFlow looks at together.
    raw = np.random.default_rng(0).normal(size=(2, 20, 20, 3, 5 + CLASSES)).astype(np.float32)
    raw[..., 2:4] *= 0.5
    everything = detect(raw, 0.05, 1.0, agnostic=True)  # nothing overlaps by more than 1
    assert all(len(scores) == MAX_DETECTIONS for _, scores, _ in everything)
    found = detect(raw, 0.05, agnostic=True)
    for (boxes, scores, classes), (kept_boxes, kept_scores, kept_classes) in zip(
        everything, found, strict=True
    ):
        kept = greedy_suppression(boxes, 0.45)
        assert 10 < len(kept) < len(boxes)
        np.testing.assert_allclose(kept_boxes[: len(kept)], boxes[kept])
        np.testing.assert_allclose(kept_scores[: len(kept)], scores[kept])
        np.testing.assert_array_equal(kept_classes[: len(kept)], classes[kept])


@pytest.mark.parametrize("agnostic", [False, True])
def test_boxes_that_are_not_finite_are_none(agnostic):
    raw = np.array(raw_map([(2, 3, 1, 1, 0.8), (1, 1, 0, 0, 0.9), (0, 2, 0, 0, 0.9)]))
    raw[0, 1, 1, 0, 0] = np.nan  # beside a confidence that is high
    raw[0, 0, 2, 0, 5:] = np.nan
    raw[0, 3, :, :, 4] = np.nan
    [(boxes, scores, _)] = detect(raw, agnostic=agnostic)
    np.testing.assert_allclose(boxes, [[20, 12, 36, 28]], atol=1e-4)
    assert len(scores) == 1


@pytest.mark.parametrize(("limit", "expected"), [(1, [0.9]), (2, [0.9, 0.7]), (1000, [0.9, 0.7])])
def test_across_classes_boxes_that_touch_at_all_can_be_suppressed(limit, expected):
    raw = raw_map([(2, 3, 0, 0, 0.6), (2, 4, 0, 1, 0.9), (6, 6, 0, 0, 0.7)])  # two overlap
    found = detect(raw, iou_threshold=0.0, agnostic=True, max_detections=limit)
    np.testing.assert_allclose(found[0][1], expected, atol=1e-5)


def greedy_suppression(boxes_xyxy, iou_threshold):
    """Return the indices that remain of boxes in the order of their scores."""
    kept = []
    for index, box in enumerate(boxes_xyxy):
        if all(iou(box, boxes_xyxy[other]) <= iou_threshold for other in kept):
            kept.append(index)
    return kept


def iou(one, two):
    sides = np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2])
    overlap = np.prod(np.maximum(sides, 0))
    return overlap / (np.prod(one[2:] - one[:2]) + np.prod(two[2:] - two[:2]) - overlap)


def test_scales_are_joined_each_with_its_own_stride():
    fine, coarse = raw_map([(0, 0, 0, 0, 0.6)]), raw_map([(1, 1, 0, 0, 0.9)], grid=4)
    found = detect_boxes(
        [fine, coarse],
        anchors=[ANCHORS, ANCHORS],
        strides=[8, 16],
        score_threshold=0.1,
        iou_threshold=0.45,
    )
    np.testing.assert_allclose(
        found[0][0, :2], [[16, 16, 32, 32], [-4, -4, 12, 12]], atol=1e-4
    )  # not clipped
