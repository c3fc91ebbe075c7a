"""Anchor assignment, against cells and anchors worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from yolov3.configs import ANCHORS, STRIDES, TINY_ANCHORS, TINY_STRIDES
from yolov3.labels import MATCH_IOU, assign_anchors, trim_padding

SIZE = 416
CLASSES = 3
GRIDS = [(SIZE // stride, SIZE // stride) for stride in STRIDES]


def assign(boxes_xyxy, classes=None, anchors=ANCHORS):
    """Assign the boxes of one image; return the targets as (G, G, A, 5 + C) arrays."""
    boxes = np.asarray(boxes_xyxy, np.float32).reshape(1, -1, 4)
    classes = np.zeros(boxes.shape[1], int) if classes is None else np.asarray(classes)
    targets = assign_anchors(boxes, classes[np.newaxis], anchors, STRIDES, GRIDS, CLASSES)
    return [target.numpy()[0] for target in targets]


def slots(targets):
    """Return where objects are: a set of (scale, row, column, anchor)."""
    return {
        (scale, *(int(i) for i in index))
        for scale, target in enumerate(targets)
        for index in np.argwhere(target[..., 4] > 0)
    }


def box_at(x, y, width, height):
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def same_centre_iou(size, anchor):
    overlap = min(size[0], anchor[0]) * min(size[1], anchor[1])
    return overlap / (size[0] * size[1] + anchor[0] * anchor[1] - overlap)


def test_one_box_is_learned_in_the_cell_of_its_centre_by_the_anchors_worked_out_by_hand():
    # 30 x 61 at (100, 203) against all anchors: 1.0 for (30, 61) itself (scale 1, anchor 0);
    # (16, 30) 480 / 1830 = 0.26; (33, 23) 690 / (1830 + 759 - 690) = 0.363;
    # (62, 45) 1350 / (1830 + 2790 - 1350) = 0.41; (59, 119) 1830 / 7021 = 0.26; others less.
    targets = assign([box_at(100, 203, 30, 61)], [2])
    expected = {
        (0, 203 // 8, 100 // 8, 2),
        (1, 203 // 16, 100 // 16, 0),
        (1, 203 // 16, 100 // 16, 1),
    }
    assert slots(targets) == expected
    for scale, row, column, anchor in expected:
        values = targets[scale][row, column, anchor]
        np.testing.assert_allclose(values, [100, 203, 30, 61, 1, 0, 0, 1], atol=1e-4)
    assert sum(np.count_nonzero(target) for target in targets) == 3 * 6


def test_every_anchor_above_the_threshold_and_no_other_but_the_best():
    rng = np.random.default_rng(0)
    for size in [*rng.uniform(3, 400, (30, 2)), (1, 1), (2, 300), (416, 3)]:
        iou = np.array([[same_centre_iou(size, anchor) for anchor in scale] for scale in ANCHORS])
        expected = {
            (scale, 208 // STRIDES[scale], 208 // STRIDES[scale], anchor)
            for scale, anchor in np.argwhere((iou > MATCH_IOU) | (iou == iou.max()))
        }
        assert slots(assign([box_at(208, 208, *size)])) == expected


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_higher_iou_wins_a_contested_slot(order):
    boxes = [box_at(100, 100, 30, 60), box_at(101, 101, 30, 52)]  # both best with (30, 61)
    targets = assign([boxes[i] for i in order], [order[0], order[1]])
    np.testing.assert_allclose(targets[1][6, 6, 0], [100, 100, 30, 60, 1, 1, 0, 0], atol=1e-4)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_best_anchor_goes_before_a_merely_good_one(order):
    # Anchors (30, 60) and (30, 50) in one scale. The first box's best is (30, 60), IoU 0.5, while
    # the second, best with (30, 50), has 50 / 60 = 0.83 with (30, 60): more, but merely good.
    anchors = (ANCHORS[0], ((30, 60), (30, 50), (300, 300)), ((200, 200),) * 3)
    boxes = [box_at(100, 100, 30, 120), box_at(101, 101, 30, 50)]
    targets = assign([boxes[i] for i in order], [order[0], order[1]], anchors)
    np.testing.assert_allclose(targets[1][6, 6, 0], [100, 100, 30, 120, 1, 1, 0, 0], atol=1e-4)
    np.testing.assert_allclose(targets[1][6, 6, 1], [101, 101, 30, 50, 1, 0, 1, 0], atol=1e-4)


def test_of_two_equal_boxes_the_first_wins():
    targets = assign([box_at(100, 100, 30, 61)] * 2, [2, 1])
    np.testing.assert_array_equal(targets[1][6, 6, 0, 4:], [1, 0, 0, 1])


def test_a_slot_has_one_box_however_close_their_claims_are():
    """Pairs of boxes about one size, a rounding error of float32 apart."""
    width = np.float32(30)
    for _ in range(30):
        width = np.nextafter(width, np.float32(31))
        boxes = [box_at(100, 100, width, 61), box_at(100, 100, 30, 61)]
        for pair in (boxes, boxes[::-1]):
            targets = assign(pair, [2, 1])
            assert all(target[..., 4].max() <= 1 for target in targets)
            assert targets[1][6, 6, 0, 5:].sum() == 1


def test_padding_is_ignored():
    box = box_at(5, 5, 30, 61)  # in the corner, the cell that padding at (0, 0) would fall into
    alone = assign([box], [1])
    padded = assign([(0, 0, 0, 0), box, (0, 0, 0, 0)], [0, 1, 0])
    for one, other in zip(alone, padded, strict=True):
        np.testing.assert_array_equal(one, other)


def test_padding_is_cut_to_the_fullest_image():
    boxes, classes = random_batch(2, 5)
    boxes[0, 3:] = boxes[1, 4:] = 0
    boxes[1, 1] = 0  # an empty box between others stays
    cut_boxes, cut_classes = trim_padding(tf.constant(boxes), tf.constant(classes))
    np.testing.assert_array_equal(cut_boxes, boxes[:, :4])
    np.testing.assert_array_equal(cut_classes, classes[:, :4])
    no_boxes = trim_padding(tf.zeros([2, 5, 4]), tf.zeros([2, 5], tf.int32))
    assert [part.shape for part in no_boxes] == [(2, 1, 4), (2, 1)]


def test_a_centre_on_the_edge_belongs_to_the_last_cell():
    targets = assign([box_at(SIZE, SIZE, 30, 61), box_at(0, 0, 30, 61)])
    assert {index[1:3] for index in slots(targets) if index[0] == 1} == {(25, 25), (0, 0)}


def test_no_boxes_give_empty_targets():
    for target, grid in zip(assign(np.zeros((0, 4))), GRIDS, strict=True):
        assert target.shape == (*grid, 3, 5 + CLASSES)
        assert not target.any()


def random_batch(batch, count, seed=0, size=SIZE):
    rng = np.random.default_rng(seed)
    centre, wh = rng.uniform(0, size, (batch, count, 2)), rng.uniform(1, 200, (batch, count, 2))
    boxes = np.concatenate([centre - wh / 2, centre + wh / 2], axis=-1).astype(np.float32)
    return boxes, rng.integers(0, CLASSES, (batch, count)).astype(np.int32)


def test_images_of_a_batch_do_not_touch_each_other():
    boxes, classes = random_batch(4, 30)
    together = assign_anchors(boxes, classes, ANCHORS, STRIDES, GRIDS, CLASSES)
    for i in range(4):
        alone = assign(boxes[i], classes[i])
        for scale in range(3):
            np.testing.assert_array_equal(together[scale][i], alone[scale])


def test_inside_a_graph_of_unknown_shapes_and_an_image_that_is_not_square():
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3]),
            tf.TensorSpec([None, None, 4]),
            tf.TensorSpec([None, None], tf.int32),
        ]
    )
    def in_graph(images, boxes, classes):
        height, width = tf.unstack(tf.shape(images)[1:3])
        grids = [(height // stride, width // stride) for stride in TINY_STRIDES]
        return assign_anchors(boxes, classes, TINY_ANCHORS, TINY_STRIDES, grids, CLASSES)

    for batch, count, (height, width) in ((2, 7, (96, 160)), (1, 0, (64, 32)), (3, 40, (32, 320))):
        boxes, classes = random_batch(batch, count, size=min(height, width))
        grids = [(height // stride, width // stride) for stride in TINY_STRIDES]
        eager = assign_anchors(boxes, classes, TINY_ANCHORS, TINY_STRIDES, grids, CLASSES)
        for one, other in zip(
            in_graph(np.zeros((batch, height, width, 3), np.float32), boxes, classes),
            eager,
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
