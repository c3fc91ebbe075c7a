"""Whatever the network says, and whatever boxes there are, losses and gradients are finite."""

import numpy as np
import pytest
import tensorflow as tf
from loss_samples import SIZE, random_boxes, raw_maps_of, targets_of

from yolov3.configs import ANCHORS, STRIDES
from yolov3.losses import compute_loss


def assert_finite(raw_maps, boxes, classes, dtype=tf.float32):
    variables = [tf.Variable(tf.cast(raw, dtype)) for raw in raw_maps]
    targets = targets_of(boxes, classes)
    with tf.GradientTape() as tape:
        losses = compute_loss(variables, targets, boxes, ANCHORS, STRIDES)
        total = tf.add_n(list(losses.values()))
    assert np.isfinite(float(total)), losses
    for gradient in tape.gradient(total, variables):
        assert np.isfinite(tf.cast(gradient, tf.float32).numpy()).all()


@pytest.mark.parametrize("value", [-1e4, -88.0, -10.0, 0.0, 10.0, 88.0, 1e4])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float16], ids=lambda d: d.name)
def test_extreme_raw_maps(value, dtype):
    boxes, classes = random_boxes(1, 5)
    assert_finite([np.full_like(raw, value) for raw in raw_maps_of(1)], boxes, classes, dtype)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float16], ids=lambda d: d.name)
def test_raw_maps_of_mixed_extremes(dtype):
    boxes, classes = random_boxes(2, 5)
    raw_maps = [np.sign(raw) * 1e4 for raw in raw_maps_of(2)]
    assert_finite(raw_maps, boxes, classes, dtype)


ODD_BOXES = {
    "zero": (20, 20, 20, 20),
    "no width": (20, 10, 20, 40),
    "a point in the corner": (0, 0, 0, 0),
    "one pixel": (20, 20, 21, 21),
    "the whole image": (0, 0, SIZE, SIZE),
    "at the far edge": (SIZE - 1, SIZE - 1, SIZE, SIZE),
}


@pytest.mark.parametrize("box", ODD_BOXES.values(), ids=ODD_BOXES)
@pytest.mark.parametrize("value", [-1e4, 0.0, 1e4])
def test_odd_boxes(box, value):
    boxes, classes = np.float32([[box]]), np.int32([[1]])
    assert_finite([np.full_like(raw, value) for raw in raw_maps_of(1)], boxes, classes)


@pytest.mark.parametrize("count", [0, 500])
def test_no_boxes_and_many(count):
    assert_finite(raw_maps_of(2), *random_boxes(2, count))
