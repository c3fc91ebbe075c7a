"""Tests of the detector: its pixels, its batches, its graph."""

import numpy as np
import pytest
import tensorflow as tf
from random_network import CLASSES, SIZE, random_images, random_network

from yolov3.annotations import Record
from yolov3.boxes import bbox_iou, xywh_to_xyxy
from yolov3.detection import Detector, class_indices
from yolov3.images import letterbox
from yolov3.metrics import match_detections
from yolov3.yolov3 import decode

SURE, NEVER = 20.0, -20.0
# Of one order of summation to another, through 13 layers of up to 9 x 512 products in float32.
ROUNDING = 13 * np.sqrt(9 * 512) * 2.0**-23


@pytest.fixture(scope="module")
def model():
    return random_network()


@pytest.fixture(scope="module")
def detector(model):
    return Detector(model, input_size=SIZE, score_threshold=0.001, precision="float32")


@pytest.fixture(scope="module")
def images():
    return random_images()


def planted(row, column, box_xywh):
    """Return a network that finds one box of class 1 in a cell of the coarse map, anchor 0."""
    fine = np.full((1, 4, 4, 3, 5 + CLASSES), NEVER, np.float32)
    coarse = np.full((1, 2, 2, 3, 5 + CLASSES), NEVER, np.float32)
    centre = (np.array(box_xywh[:2]) / 32) - [column, row]
    coarse[0, row, column, 0, :2] = np.log(centre / (1 - centre))
    coarse[0, row, column, 0, 2:4] = np.log(np.array(box_xywh[2:]) / [81, 82])
    coarse[0, row, column, 0, [4, 6]] = SURE
    return lambda images, training: [tf.constant(fine), tf.constant(coarse)]


@pytest.mark.parametrize(
    ("input_size", "image_hw", "expected"),
    [
        (64, (64, 64), [40, 20, 56, 28]),
        (64, (64, 128), [80, 8, 112, 24]),  # half the size, 16 rows down: x / 0.5, (y - 16) / 0.5
        (64, (128, 64), [48, 40, 64, 56]),  # half the size, 16 columns right; clipped
        (64, (20, 64), [40, 0, 56, 6]),  # 22 rows down; clipped at the top
        ((64, 96), (128, 192), [80, 40, 112, 56]),  # half the size fits exactly
    ],
)
def test_boxes_are_in_pixels_of_the_image(model, input_size, image_hw, expected):
    detector = Detector(model, input_size=input_size, precision="float32")
    detector.backend.network = planted(0, 1, (48, 24, 16, 8))
    boxes_xyxy, scores, classes = detector(np.zeros((*image_hw, 3), np.uint8))
    np.testing.assert_allclose(boxes_xyxy, [expected], atol=1e-3)
    np.testing.assert_allclose(scores, [1], atol=1e-5)
    assert classes.tolist() == [1]


def test_best_box_is_that_of_the_unfolded_network(detector, model, images):
    image = images[2]
    raw_maps = model(letterbox(image, (SIZE, SIZE))[np.newaxis] / np.float32(255))
    rows = np.concatenate(
        [
            decode(raw, anchors, stride).numpy().reshape(-1, 5 + CLASSES)
            for raw, anchors, stride in zip(
                raw_maps, detector.config.anchors, detector.config.strides, strict=True
            )
        ]
    )
    scores = rows[:, 4:5] * rows[:, 5:]
    row, label = np.unravel_index(scores.argmax(), scores.shape)
    boxes_xyxy, found, classes = detector(image)
    expected = np.clip(xywh_to_xyxy(rows[row, :4]), 0, SIZE)
    np.testing.assert_allclose(boxes_xyxy[0], expected, atol=0.01)
    assert classes[0] == label and found[0] == pytest.approx(scores.max(), abs=1e-5)
    assert (np.diff(found) <= 0).all()


def test_batch_gives_what_each_image_gives_alone(detector, images):
    together = detector.detect_batch(images)
    assert len(together) == len(images)
    for image, found in zip(images, together, strict=True):
        alone = detector(image)
        assert len(alone[1]) == len(found[1]) > 10
        table, wanted = (np.column_stack([x[0], x[1], x[2]]) for x in (found, alone))
        limits = ROUNDING * np.array([max(image.shape)] * 4 + [1, 1])
        for row in wanted[: len(wanted) // 2]:  # rounding may change the places of equal scores
            assert (np.abs(table - row) <= limits).all(axis=1).any()


def test_image_sizes_and_batches_do_not_retrace(detector, images):
    for image in images:
        detector(image)
    detector.detect_batch(images[:3])
    assert detector.backend.run.experimental_get_tracing_count() == 1


def test_agnostic_nms_suppresses_other_classes_too(model, images):
    settings = {"input_size": SIZE, "score_threshold": 0.001, "precision": "float32"}
    class_wise = Detector(model, multi_label=True, **settings)
    agnostic = Detector(model, agnostic_nms=True, **settings)
    for image in images:
        boxes, scores, _ = class_wise(image)
        own_boxes, own_scores, _ = agnostic(image)
        assert own_scores[0] == pytest.approx(scores[0], rel=ROUNDING)  # the best of all
        assert 0 < len(own_boxes) < len(boxes)


def test_a_choice_of_classes_leaves_out_the_others_and_they_take_no_place(model, images):
    settings = {"input_size": SIZE, "score_threshold": 0.001, "precision": "float32"}
    for rule in ({}, {"multi_label": True}, {"agnostic_nms": True}):
        everything = Detector(model, **rule, **settings)(images[2])
        for label in set(everything[2].tolist()):
            chosen = Detector(model, classes=[label], **rule, max_detections=5, **settings)
            for ours, part in zip(chosen(images[2]), everything, strict=True):
                np.testing.assert_array_equal(ours, part[everything[2] == label][:5])


def test_more_or_fewer_detections_than_a_hundred(model):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    settings = {"input_size": SIZE, "score_threshold": 0.0, "iou_threshold": 1.0}
    settings |= {"precision": "float32", "multi_label": True}
    for limit in (5, 110):
        limited = Detector(model, max_detections=limit, **settings)
        assert len(limited(noise)[1]) == limit
    for_metrics = Detector(model, **settings | {"multi_label": False}).for_metrics(50)
    _, _, classes = for_metrics(noise)
    assert np.bincount(classes).tolist() == [50] * CLASSES


def by_loops(boxes_xyxy, scores, classes):
    """Return the detections that no better one of another class, that is shown, overlaps by 0.6."""
    kept = []
    for index in np.argsort(-scores, kind="stable"):
        rivals = [other for other in kept if classes[other] != classes[index]]
        ious = [float(bbox_iou(boxes_xyxy[index], boxes_xyxy[other])) for other in rivals]
        if max(ious, default=0) <= 0.6:
            kept.append(index)
    return [part[np.array(kept, int)] for part in (boxes_xyxy, scores, classes)]


@pytest.mark.parametrize("seed", range(3))
def test_an_object_has_one_label_and_the_metrics_agree(model, seed):
    rng = np.random.default_rng(seed)
    maps = [rng.normal(size=(1, side, side, 3, 5 + CLASSES)).astype(np.float32) for side in (4, 2)]
    image, found = np.zeros((70, 60, 3), np.uint8), []
    for multi_label in (True, False):
        settings = {"multi_label": multi_label, "score_threshold": 0.05, "precision": "float32"}
        found.append(Detector(model, input_size=SIZE, **settings))
        found[-1].backend.network = lambda images, training: list(map(tf.constant, maps))
    several, one = (detector(image) for detector in found)
    assert 5 < len(one[1]) < len(several[1])
    for ours, expected in zip(one, by_loops(*several), strict=True):
        np.testing.assert_array_equal(ours, expected)
    record = Record("a.png", several[0][:1], several[2][:1], 1)
    matches = match_detections([record], [several], CLASSES)
    assert sorted(matches.scores[matches.shown]) == sorted(one[1])


def test_what_nms_takes_away_takes_nothing_away(model):
    """The second box goes for the first, of its class; it would have taken the third along."""
    fine = np.full((1, 4, 4, 3, 5 + CLASSES), NEVER, np.float32)
    for x, anchor, label, score in ((14, 0, 0, 0.9), (20, 0, 0, 0.8), (24, 1, 1, 0.7)):
        centre = np.array([x, 14]) / 16
        at = fine[0, 0, x // 16, anchor]
        at[:2] = np.log(centre % 1 / (1 - centre % 1))
        at[2:4] = np.log([20, 20] / np.array([(10, 14), (23, 27)][anchor]))
        at[[4, 5 + label]] = np.log(score / (1 - score)), SURE
    detector = Detector(model, input_size=64, precision="float32")
    coarse = np.full((1, 2, 2, 3, 5 + CLASSES), NEVER, np.float32)
    detector.backend.network = lambda images, training: [tf.constant(fine), tf.constant(coarse)]
    boxes_xyxy, scores, classes = detector(np.zeros((64, 64, 3), np.uint8))
    np.testing.assert_allclose(boxes_xyxy, [[4, 4, 24, 24], [14, 4, 34, 24]], atol=1e-3)
    assert classes.tolist() == [0, 1]


def test_a_class_is_found_by_name_before_number():
    assert class_indices(["1", "b", 2], ["1", "0", "b"]) == [0, 2, 2]
    with pytest.raises(ValueError, match="classes: expected some of '1', '0', 'b'; received '3'"):
        class_indices(["0", "3"], ["1", "0", "b"])


def test_one_class_may_be_given_as_a_string():
    assert class_indices("10", [str(index) for index in range(11)]) == [10]


def test_the_name_of_a_class_may_have_a_comma():
    assert class_indices("a, b", ["b", "a, b"]) == [1]
    assert class_indices("b,1", ["b", "a, b"]) == [0, 1]


@pytest.mark.parametrize(
    "setting",
    [
        {"input_size": 100},
        {"input_size": (64, 8192)},
        {"score_threshold": 25},
        {"iou_threshold": float("nan")},
        {"precision": "double"},
    ],
)
def test_a_setting_out_of_range_is_an_error_in_one_line(model, setting):
    name = next(iter(setting)).removeprefix("score_").removeprefix("iou_")
    with pytest.raises(ValueError, match=rf"^{name}: expected .*; received .*\Z"):
        Detector(model, **setting)


def test_numbers_of_numpy_are_settings(model):
    settings = {"score_threshold": np.float32(0.25), "precision": "float32"}
    assert Detector(model, input_size=np.int64(64), **settings).input_hw == (64, 64)


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((0, 8, 3), np.uint8), "a"]
)
def test_only_images_of_uint8_rgb_are_taken(detector, image):
    with pytest.raises(ValueError, match=r"expected images of uint8 \(H, W, 3\); received "):
        detector(image)


def test_settings_cannot_be_changed(detector):
    for name in ("score_threshold", "classes", "config", "anchors", "backend"):
        with pytest.raises(AttributeError):
            setattr(detector, name, None)
    assert detector.anchors == detector.config.anchors and detector.classes is None


def test_a_lower_threshold_for_one_call(detector, images):
    everything, usual = detector(images[0], score_threshold=0.0), detector(images[0])
    assert len(everything[1]) >= len(usual[1]) > 0
    assert len(detector(images[0], score_threshold=1.0)[1]) == 0
    np.testing.assert_allclose(everything[1][: len(usual[1])], usual[1], rtol=ROUNDING)
