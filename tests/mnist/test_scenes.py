"""Scenes: sizes and places of digits, labels and ink."""

import itertools

import numpy as np
import pytest
from digit_samples import plain_digits

from mnist.scenes import (
    MAX_OVERLAP,
    draw_sides,
    make_scenes,
    overlap_of_smaller,
    paste,
    place,
)


def scenes_of(count: int, size: int = 416, seed: int = 0):
    return list(make_scenes(*plain_digits(100), count, size, np.random.default_rng(seed)))


def test_sides_are_those_of_the_tutorial():
    sides = draw_sides(20_000, np.random.default_rng(0))
    large, medium, small = sides[:, :3], sides[:, 3:9], sides[:, 9:]
    for group, low, high in [(large, 84, 112), (medium, 28, 56), (small, 14, 22)]:
        drawn = group[group > 0]
        assert (drawn.min(), drawn.max()) == (low, high)
        numbers = np.bincount((group > 0).sum(axis=1))
        share = numbers / 20_000  # of scenes with 0, 1, ... of them
        assert len(numbers) == group.shape[1] + 1
        np.testing.assert_allclose(share, 1 / len(numbers), atol=0.02)
    assert (sides > 0).any(axis=1).all()


@pytest.mark.parametrize("size", [112, 160, 416])
def test_digits_lie_inside_and_do_not_hide_one_another(size):
    for scene in scenes_of(150, size):
        boxes = scene.boxes_xyxy.tolist()
        assert 1 <= len(boxes) <= 12 and len(boxes) == len(scene.labels)
        for left, top, right, bottom in boxes:
            assert 0 <= left < right <= size and 0 <= top < bottom <= size
            assert right - left == bottom - top
        for one, other in itertools.combinations(boxes, 2):
            width = min(one[2], other[2]) - max(one[0], other[0])
            height = min(one[3], other[3]) - max(one[1], other[1])
            smaller = min((box[2] - box[0]) ** 2 for box in (one, other))
            assert max(width, 0) * max(height, 0) <= MAX_OVERLAP * smaller


def test_nearly_all_digits_find_a_place_at_the_default_size():
    wanted = (draw_sides(1000, np.random.default_rng(0)) > 0).sum()
    assert sum(len(scene.labels) for scene in scenes_of(1000)) >= 0.999 * wanted


def test_a_box_holds_the_digit_of_its_label_and_the_rest_is_white():
    for scene in scenes_of(50):
        assert scene.image.shape == (416, 416) and scene.image.dtype == np.uint8
        expected = np.full((416, 416), 255)
        for (left, top, right, bottom), label in zip(scene.boxes_xyxy, scene.labels, strict=True):
            expected[top:bottom, left:right] = np.minimum(
                expected[top:bottom, left:right], 255 - (100 + label)
            )
        np.testing.assert_array_equal(scene.image, expected)


def test_overlap_is_that_of_the_smaller_box():
    big = np.array([0, 0, 112, 112])
    buried, beside, half_outside = [50, 50, 64, 64], [112, 0, 126, 14], [105, 98, 119, 112]
    a_quarter_inside, empty = [-7, -7, 7, 7], [0, 0, 0, 0]
    others = np.array([buried, beside, half_outside, a_quarter_inside, empty])
    np.testing.assert_allclose(overlap_of_smaller(big, others), [1, 0, 0.5, 0.25, 0])
    np.testing.assert_allclose(overlap_of_smaller(others, big), [1, 0, 0.5, 0.25, 0])


def test_a_digit_without_room_is_left_out():
    rng = np.random.default_rng(0)
    boxes = place(np.array([[112, 112, 14]]), 112, rng)
    np.testing.assert_array_equal(boxes, [[[0, 0, 112, 112], [0, 0, 0, 0], [0, 0, 0, 0]]])


def test_the_white_of_a_digit_erases_nothing():
    dot = np.zeros((28, 28), np.uint8)
    dot[0, 0] = 255
    blank = np.zeros((28, 28), np.uint8)
    image = paste(np.stack([dot, blank]), np.array([[5, 9, 33, 37], [0, 0, 28, 28]]), 112)
    assert image[9, 5] == 0
    assert (image == 255).sum() == 112 * 112 - 1


def test_digits_are_resized_smoothly():
    board = np.indices((28, 28)).sum(axis=0) % 2 * np.uint8(255)  # one pixel squares
    edge = np.zeros((28, 28), np.uint8)
    edge[:, 14:] = 255
    boxes = np.array([[0, 0, 14, 14], [0, 14, 112, 126]])
    image = paste(np.stack([board.astype(np.uint8), edge]), boxes, 126)
    assert abs(image[:14, :14] - 127.5).max() < 1  # the mean of each 2x2
    assert image[70, 50] == 255 and image[70, 62] == 0
    assert 0 < image[70, 55] < 255 and 0 < image[70, 56] < 255
