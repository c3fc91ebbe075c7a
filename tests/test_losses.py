"""The losses, against values worked out by hand and against plain NumPy written apart from them."""

import math

import numpy as np
import pytest
import tensorflow as tf

from yolov3.configs import ANCHORS, STRIDES
from yolov3.labels import assign_anchors
from yolov3.losses import batch_losses, class_loss, compute_loss, confidence_loss, giou_loss

CLASSES = 3
SIZE = 64


def targets_of(boxes_xyxy, classes, size_hw=(SIZE, SIZE)):
    grids = [(size_hw[0] // stride, size_hw[1] // stride) for stride in STRIDES]
    return assign_anchors(boxes_xyxy, classes, ANCHORS, STRIDES, grids, CLASSES)


def raw_maps_of(batch, seed=0, spread=1.0, size_hw=(SIZE, SIZE)):
    rng = np.random.default_rng(seed)
    return [
        rng.normal(
            0, spread, (batch, size_hw[0] // stride, size_hw[1] // stride, 3, 5 + CLASSES)
        ).astype(np.float32)
        for stride in STRIDES
    ]


def random_boxes(batch, count, seed=0, size_hw=(SIZE, SIZE)):
    rng = np.random.default_rng(seed)
    limit = np.array([size_hw[1], size_hw[0]])
    corners = rng.uniform(0, 1, (2, batch, count, 2)) * limit
    boxes = np.concatenate([corners.min(axis=0), corners.max(axis=0)], axis=-1)
    return boxes.astype(np.float32), rng.integers(0, CLASSES, (batch, count)).astype(np.int32)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


# By hand


def test_giou_loss_by_hand():
    # True 4 x 2 at (2, 1), predicted the same moved by 2: IoU 4 / 12, enclosing box full.
    predicted = tf.constant([[2.0, 0, 6, 2], [0, 0, 4, 2]])
    true = tf.constant([[2.0, 1, 4, 2], [2, 1, 4, 2]])
    scale = 2 - 8 / 100
    np.testing.assert_allclose(
        giou_loss(predicted, true, 100.0), [scale * (1 - 1 / 3), 0.0], atol=1e-6
    )


@pytest.mark.parametrize(
    ("logit", "has_object", "background", "expected"),
    [
        (0.0, 1.0, 0.0, 0.25 * math.log(2)),
        (0.0, 0.0, 1.0, 0.25 * math.log(2)),
        (0.0, 0.0, 0.0, 0.0),  # overlaps an object of another anchor: does not count
        (2.0, 1.0, 0.0, -((1 - sigmoid(2)) ** 2) * math.log(sigmoid(2))),
        (2.0, 0.0, 1.0, -(sigmoid(2) ** 2) * math.log(1 - sigmoid(2))),
    ],
)
def test_confidence_loss_by_hand(logit, has_object, background, expected):
    loss = confidence_loss(*(tf.constant([x]) for x in (logit, has_object, background)))
    assert float(loss[0]) == pytest.approx(expected, rel=1e-5)


def test_class_loss_by_hand():
    # Smoothed by 0.01 over two classes: 0.995 for the true one, 0.005 for the other.
    yes, no = math.log(sigmoid(1.0)), math.log(sigmoid(-1.0))
    both = math.log(0.5)
    loss = class_loss(tf.constant([[1.0, 0.0]]), tf.constant([[1.0, 0.0]]))
    expected = -(0.995 * yes + 0.005 * no) - both
    assert float(loss[0]) == pytest.approx(expected, rel=1e-6)


# Against NumPy


def numpy_iou(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    overlap = max(width, 0) * max(height, 0)
    area = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return (overlap / (area - overlap) if area > overlap else 0.0), area - overlap


def numpy_giou(one, other):
    iou, union = numpy_iou(one, other)
    width = max(one[2], other[2]) - min(one[0], other[0])
    height = max(one[3], other[3]) - min(one[1], other[1])
    return iou - (width * height - union) / (width * height)


def corners(x, y, width, height):
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def numpy_losses(raw_maps, targets, boxes_xyxy):
    """Loop over every cell and anchor, as the paper describes the losses."""
    totals = {"giou": 0.0, "conf": 0.0, "prob": 0.0}
    for raw, target, anchors, stride in zip(raw_maps, targets, ANCHORS, STRIDES, strict=True):
        area = raw.shape[1] * stride * raw.shape[2] * stride
        for image, row, column, a in np.ndindex(raw.shape[:4]):
            t = raw[image, row, column, a].astype(float)
            truth = np.asarray(target)[image, row, column, a]
            predicted = corners(
                (sigmoid(t[0]) + column) * stride,
                (sigmoid(t[1]) + row) * stride,
                math.exp(t[2]) * anchors[a][0],
                math.exp(t[3]) * anchors[a][1],
            )
            confidence = sigmoid(t[4])
            if truth[4]:
                totals["conf"] -= (1 - confidence) ** 2 * math.log(confidence)
                scale = 2 - truth[2] * truth[3] / area
                totals["giou"] += scale * (1 - numpy_giou(predicted, corners(*truth[:4])))
                for logit, label in zip(t[5:], truth[5:], strict=True):
                    label = 0.99 * label + 0.01 / CLASSES
                    probability = sigmoid(logit)
                    totals["prob"] -= label * math.log(probability)
                    totals["prob"] -= (1 - label) * math.log(1 - probability)
            elif all(numpy_iou(predicted, box)[0] < 0.5 for box in boxes_xyxy[image]):
                totals["conf"] -= confidence**2 * math.log(1 - confidence)
    return {name: total / len(boxes_xyxy) for name, total in totals.items()}


@pytest.mark.parametrize(("size_hw", "count"), [((64, 64), 6), ((32, 96), 3), ((64, 32), 0)])
def test_the_losses_equal_plain_numpy(size_hw, count):
    boxes, classes = random_boxes(3, count, size_hw=size_hw)
    raw_maps, targets = raw_maps_of(3, size_hw=size_hw), targets_of(boxes, classes, size_hw)
    losses = compute_loss(raw_maps, targets, boxes, ANCHORS, STRIDES)
    expected = numpy_losses(raw_maps, targets, boxes)
    assert {name: float(loss) for name, loss in losses.items()} == pytest.approx(expected, rel=1e-4)
    assert all(loss.dtype == tf.float32 and loss.shape == () for loss in losses.values())
    assert count == 0 or all(float(loss) > 0 for loss in losses.values())


def one_prediction(logit, width):
    """Return the confidence loss of one box 16 x 30 with one prediction near it, of a given width.

    The prediction is by the anchor beside the box's own, in the box's cell, with its centre.
    """
    boxes = np.float32([[[20 - 8, 20 - 15, 20 + 8, 20 + 15]]])
    quiet = -1e4  # a confidence of 0, and no loss from the background
    raw_maps = [
        np.full((1, SIZE // s, SIZE // s, 3, 5 + CLASSES), 0.0, np.float32) for s in STRIDES
    ]
    for raw in raw_maps:
        raw[..., 4] = quiet
    targets = [np.zeros_like(raw) for raw in raw_maps]
    t = raw_maps[0][0, 2, 2, 0]  # its cell: 16 .. 24, its anchor 10 x 13, its centre (20, 20)
    t[2:5] = math.log(width / 10), math.log(30 / 13), logit
    return float(compute_loss(raw_maps, targets, boxes, ANCHORS, STRIDES)["conf"])


def test_a_prediction_that_overlaps_a_box_by_half_is_not_background():
    background = sigmoid(1) ** 2 * -math.log(1 - sigmoid(1))
    assert one_prediction(1.0, width=16 * 0.51) == pytest.approx(0.0, abs=1e-6)  # IoU 0.51
    assert one_prediction(1.0, width=16 * 0.49) == pytest.approx(background, rel=1e-5)  # 0.49
    assert one_prediction(1.0, width=16 / 0.49) == pytest.approx(background, rel=1e-5)


def test_losses_of_a_batch_do_not_depend_on_its_padding():
    boxes, classes = random_boxes(2, 5)
    raw_maps = raw_maps_of(2)
    expected = compute_loss(raw_maps, targets_of(boxes, classes), boxes, ANCHORS, STRIDES)
    padded = np.pad(boxes, [(0, 0), (0, 40), (0, 0)]), np.pad(classes, [(0, 0), (0, 40)])
    raw_maps = [tf.constant(raw) for raw in raw_maps]
    found = batch_losses(raw_maps, *map(tf.constant, padded), anchors=ANCHORS, strides=STRIDES)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
