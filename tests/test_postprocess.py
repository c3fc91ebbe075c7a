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
    pair[1] = (2, 3, 1, 1, 0.9)  # another anchor is surer that it is of the other class
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
def test_a_score_at_the_threshold_is_a_detection(agnostic):
    raw = raw_map([(2, 3, 1, 1, 0.8)])
    score = detect(raw, agnostic=agnostic)[0][1][0]
    for threshold, count in ((score, 1), (np.nextafter(score, np.float32(1)), 0), (0.0, 1)):
        assert (detect(raw, threshold, agnostic=agnostic)[0][1] >= score).sum() == count


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


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"agnostic": True},
        {"max_per_class": 7},
        {"max_per_class": 2000},
        {"agnostic": True, "max_per_class": 2000},
        {"max_detections": 30},
    ],
    ids=str,
)
def test_equal_to_loops_over_predictions(rule):
    # More candidates than the 512 that TensorFlow looks at together.
    raw = np.random.default_rng(0).normal(size=(2, 14, 14, 3, 5 + CLASSES)).astype(np.float32)
    raw[..., 2:4] *= 0.5
    for image, (boxes, scores, classes) in zip(raw, detect(raw, 0.05, **rule), strict=True):
        expected_boxes, expected_scores, expected_classes = by_loops(image, **rule)
        assert len(scores) > 10
        np.testing.assert_allclose(scores, expected_scores, rtol=1e-5)
        np.testing.assert_allclose(boxes, expected_boxes, rtol=1e-5, atol=1e-3)
        np.testing.assert_array_equal(classes, expected_classes)


def by_loops(raw, agnostic=False, max_detections=100, max_per_class=None):
    """Detect in a raw map (G, G, A, 5 + C) with scores above 0.05 and IoUs up to 0.45."""
    found = []
    for row, column, anchor in np.ndindex(raw.shape[:3]):
        prediction = raw[row, column, anchor].astype(np.float64)
        x, y, *rest = 1 / (1 + np.exp(-prediction[[0, 1, *range(4, 5 + CLASSES)]]))
        centre = np.array([(column + x) * STRIDE, (row + y) * STRIDE])
        half = np.exp(prediction[2:4]) * ANCHORS[anchor] / 2
        scores = [rest[0] * probability for probability in rest[1:]]
        for label, score in enumerate(scores):
            if score > 0.05 and (not agnostic or score == max(scores)):
                found.append((score, label, np.concatenate([centre - half, centre + half])))
    kept = sorted(found, key=lambda item: -item[0])
    kept = suppressed(kept, 0.45, across_classes=agnostic)
    if max_per_class:
        kept = [row for k, row in enumerate(kept) if places(kept, k) < max_per_class]
    scores, labels, boxes = zip(*kept[: None if max_per_class else max_detections], strict=True)
    return np.array(boxes), np.array(scores), np.array(labels)


def suppressed(found, threshold, across_classes=False):
    kept = []
    for score, label, box in found:
        rivals = [other for _, rival, other in kept if across_classes or rival == label]
        if not rivals or iou(box, np.array(rivals)).max() <= threshold:
            kept.append((score, label, box))
    return kept


def places(kept, index):
    """Count the better ones of the same class."""
    return sum(label == kept[index][1] for _, label, _ in kept[:index])


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


def iou(box, boxes_xyxy):
    sides = np.minimum(box[2:], boxes_xyxy[:, 2:]) - np.maximum(box[:2], boxes_xyxy[:, :2])
    overlap = np.prod(np.maximum(sides, 0), axis=1)
    areas = np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=1)
    return overlap / (np.prod(box[2:] - box[:2]) + areas - overlap)


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
