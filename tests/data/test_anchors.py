"""Anchors of a data set: k-means by hand, and how well anchors fit."""

import numpy as np
import pytest
import tensorflow as tf

from yolov3.annotations import Record
from yolov3.boxes import shape_iou
from yolov3.configs import ANCHORS
from yolov3.data.anchors import (
    anchor_fit,
    kmeans_anchors,
    letterboxed,
    shape_ious,
)


def test_shape_ious_by_hand_and_as_in_training():
    boxes_wh = np.array([[10.0, 10.0], [20.0, 5.0], [4.0, 8.0]])
    anchors_wh = np.array([[10.0, 10.0], [5.0, 20.0]])
    # 20x5 and 10x10 share 10x5 of 150; 20x5 and 5x20 share 5x5 of 175.
    expected = [[1, 50 / 150], [50 / 150, 25 / 175], [32 / 100, 32 / 100]]
    np.testing.assert_allclose(shape_ious(boxes_wh, anchors_wh), expected)
    referee = shape_iou(tf.constant(boxes_wh)[:, tf.newaxis], tf.constant(anchors_wh))
    np.testing.assert_allclose(shape_ious(boxes_wh, anchors_wh), referee, atol=1e-6)


def test_fit_by_hand():
    boxes_wh = np.array([[10.0, 10.0], [10.0, 20.0], [10.0, 30.0]])
    fit = anchor_fit(boxes_wh, [(10, 10), (1, 1)])
    assert fit.recall == pytest.approx(1 / 3)  # an IoU of exactly one half is not above it
    assert fit.mean_iou == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_separate_groups_give_their_medians():
    small, tall, wide = [(9, 10), (10, 10), (14, 10)], [(20, 99), (20, 100), (20, 108)], [(200, 60)]
    boxes_wh = np.array(tall + wide * 3 + small, float)
    for seed in range(5):
        assert kmeans_anchors(boxes_wh, 3, seed).tolist() == [[10, 10], [20, 100], [200, 60]]


def test_as_many_anchors_as_sizes_are_the_sizes():
    boxes_wh = np.array([[30, 10], [10, 31], [100, 100], [5, 5]], float)
    repeated = np.repeat(boxes_wh, [50, 1, 2, 9], axis=0)
    found = kmeans_anchors(repeated, 4).tolist()
    assert found == [[5, 5], [30, 10], [10, 31], [100, 100]]
    with pytest.raises(ValueError, match="of 5 different sizes or more; received 4"):
        kmeans_anchors(repeated, 5)


def test_anchors_are_found_in_whole_pixels_and_small_boxes_get_one_at_least():
    boxes_wh = np.array([[0.2, 0.3], [50, 60.4]])
    assert kmeans_anchors(boxes_wh, 2).tolist() == [[1, 1], [50, 60]]


def test_anchors_fit_better_than_the_usual_ones_and_the_same_seed_finds_the_same():
    rng = np.random.default_rng(0)
    boxes_wh = np.clip(np.exp(rng.normal(4, 0.7, (20_000, 2))), 2, 416)
    found = kmeans_anchors(boxes_wh, 9, seed=1)
    usual = anchor_fit(boxes_wh, np.reshape(ANCHORS, (-1, 2)))
    assert anchor_fit(boxes_wh, found).mean_iou > usual.mean_iou + 0.05
    part = boxes_wh[:2000]
    assert kmeans_anchors(part, 6, seed=3).tolist() == kmeans_anchors(part, 6, seed=3).tolist()


def test_boxes_of_one_size_are_the_same_wherever_they_are():
    corners = np.random.default_rng(0).integers(0, 2000, (300, 2)).astype(np.float32) + 0.25
    boxes_xyxy = np.hstack([corners, corners + np.float32([33, 21.1])])
    record = Record("a.png", boxes_xyxy, np.zeros(300, np.int32), 1)
    centres, boxes_wh = letterboxed([record], np.array([[2560, 2140]]), 416)
    assert np.unique(boxes_wh, axis=0).shape == (1, 2)
    np.testing.assert_allclose(boxes_wh[0], [33 * 416 / 2560, 21.1 * 348 / 2140])
    expected = (corners + np.float32([33, 21.1]) / 2) * [416 / 2560, 348 / 2140] + [0, 34]
    np.testing.assert_allclose(centres, expected, atol=1e-3)
