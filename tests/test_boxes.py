"""IoU, GIoU and the box formats, against values worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from yolov3.boxes import bbox_giou, bbox_iou, shape_iou, xywh_to_xyxy, xyxy_to_xywh


def boxes(*rows):
    return tf.constant(rows, tf.float32)


def random_boxes(count, seed):
    rng = np.random.default_rng(seed)
    top_left = rng.uniform(0, 400, (count, 2))
    return tf.constant(
        np.hstack([top_left, top_left + rng.uniform(0, 200, (count, 2))]), tf.float32
    )


# Two boxes, their IoU and their GIoU. With I the intersection, U the union, C the enclosing box:
CASES = [
    ((0, 0, 4, 2), (0, 0, 4, 2), 1.0, 1.0),
    ((0, 0, 2, 2), (1, 1, 3, 3), 1 / 7, 1 / 7 - 2 / 9),  # I 1, U 7, C 9
    ((0, 0, 4, 4), (1, 1, 3, 3), 1 / 4, 1 / 4),  # one inside the other: C = U = 16
    ((0, 0, 2, 2), (2, 0, 4, 2), 0.0, 0.0),  # they touch: C = U = 8
    ((0, 0, 1, 1), (9, 0, 10, 1), 0.0, -0.8),  # U 2, C 10
    ((0, 0, 1, 1), (9, 9, 10, 10), 0.0, -0.98),  # U 2, C 100
    ((-3, -3, -1, -1), (-2, -3, 0, -1), 1 / 3, 1 / 3),  # I 2, U 6, C 6
]


@pytest.mark.parametrize(("first", "second", "iou", "giou"), CASES)
def test_values_worked_out_by_hand(first, second, iou, giou):
    for one, other in ((first, second), (second, first)):
        assert float(bbox_iou(boxes(one), boxes(other))[0]) == pytest.approx(iou, abs=1e-6)
        assert float(bbox_giou(boxes(one), boxes(other))[0]) == pytest.approx(giou, abs=1e-6)


@pytest.mark.parametrize("other", [(0, 0, 0, 0), (5, 5, 5, 5), (0, 0, 10, 10), (3, 3, 9, 3)])
@pytest.mark.parametrize("measure", [bbox_iou, bbox_giou])
def test_an_empty_box_has_a_finite_value_and_gradient(measure, other):
    first, second = boxes((0, 0, 0, 0)), boxes(other)
    with tf.GradientTape() as tape:
        tape.watch([first, second])
        value = measure(first, second)
    assert np.isfinite(value.numpy()).all()
    for gradient in tape.gradient(value, [first, second]):
        assert np.isfinite(gradient.numpy()).all()
    if measure is bbox_iou:
        assert float(value[0]) == 0.0


def test_boxes_broadcast():
    first, second = random_boxes(5, seed=2), random_boxes(7, seed=3)
    for measure in (bbox_iou, bbox_giou):
        table = measure(first[:, tf.newaxis], second).numpy()
        assert table.shape == (5, 7)
        for i in range(5):
            np.testing.assert_allclose(table[i], measure(first[i], second).numpy(), atol=1e-6)


def test_formats_by_hand_and_round_trip():
    np.testing.assert_array_equal(xyxy_to_xywh(boxes((10, 20, 16, 28))), [[13, 24, 6, 8]])
    np.testing.assert_array_equal(xywh_to_xyxy(boxes((13, 24, 6, 8))), [[10, 20, 16, 28]])
    grid = tf.reshape(random_boxes(24, seed=4), [2, 3, 4, 4])
    np.testing.assert_allclose(xywh_to_xyxy(xyxy_to_xywh(grid)), grid, atol=1e-3)


def test_shape_iou_by_hand():
    sizes = boxes((10, 10), (10, 10), (0, 0))
    anchors = boxes((10, 10), (20, 5), (10, 10))
    # Overlap of 10x10 and 20x5, centred: 10 * 5 = 50; union 100 + 100 - 50.
    np.testing.assert_allclose(shape_iou(sizes, anchors), [1.0, 50 / 150, 0.0], atol=1e-6)
