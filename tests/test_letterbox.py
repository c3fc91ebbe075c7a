"""The letterbox there and back."""

import numpy as np
import pytest

from yolov3.images import (
    GREY,
    boxes_from_letterbox,
    boxes_to_letterbox,
    letterbox,
    letterbox_params,
)

SIZES_WH = [
    (1, 1),
    (416, 416),
    (640, 480),
    (480, 640),
    (333, 777),
    (20000, 3),
    (3, 20000),
    (417, 1),
]
CANVASES_HW = [(416, 416), (32, 32), (320, 608)]


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("input_hw", CANVASES_HW)
@pytest.mark.parametrize("size_wh", SIZES_WH)
def test_boxes_come_back_from_the_letterbox(size_wh, input_hw):
    width, height = size_wh
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 1, (50, 2, 2)), axis=1) * [width, height]
    boxes = np.vstack([corners.reshape(-1, 4), [0, 0, width, height]])
    fit = letterbox_params((height, width), input_hw)
    there = boxes_to_letterbox(boxes, fit)
    assert there.dtype == np.float32
    back = boxes_from_letterbox(there, fit, (height, width))
    np.testing.assert_allclose(back, boxes, atol=1e-3, rtol=1e-7)  # float32 knows 7 digits


@pytest.mark.parametrize("input_hw", CANVASES_HW)
@pytest.mark.parametrize("size_wh", SIZES_WH)
def test_the_image_fills_one_side_of_the_canvas_centred(size_wh, input_hw):
    width, height = size_wh
    fit = letterbox_params((height, width), input_hw)
    spare_x, spare_y = input_hw[1] - fit.size_wh[0], input_hw[0] - fit.size_wh[1]
    assert min(spare_x, spare_y) == 0 and min(fit.size_wh) >= 1
    assert fit.offset_xy == (spare_x // 2, spare_y // 2)
    assert letterbox(np.zeros((height, width, 3), np.uint8), input_hw).shape == (*input_hw, 3)


def test_letterbox_by_hand():
    fit = letterbox_params((50, 100), (416, 416))
    assert fit.size_wh == (416, 208) and fit.offset_xy == (0, 104)
    boxes = np.float32([[10, 20, 30, 50]])
    np.testing.assert_allclose(boxes_to_letterbox(boxes, fit), [[41.6, 187.2, 124.8, 312.0]])


def test_grey_bars_lie_above_and_below_a_wide_image():
    canvas = letterbox(np.full((50, 100, 3), 7, np.uint8), (416, 416))
    assert canvas.dtype == np.uint8
    assert (canvas[:104] == GREY).all() and (canvas[312:] == GREY).all()
    assert (canvas[104:312] == 7).all()


def test_an_image_of_the_canvas_size_is_not_changed():
    image = noise(96, 160)
    np.testing.assert_array_equal(letterbox(image, (96, 160)), image)


@pytest.mark.parametrize("size_hw", [(4160, 4160), (4160, 1), (1, 4160)])
def test_shrinking_averages_so_that_thin_strokes_stay(size_hw):
    stripes = np.zeros((*size_hw, 3), np.uint8)
    along = max(range(2), key=lambda axis: size_hw[axis])
    np.moveaxis(stripes, along, 0)[::10] = 250  # a tenth is white: the mean is 25
    shrunk = letterbox(stripes, (416, 416))
    image = shrunk[(shrunk != GREY).any(axis=2)]
    assert len(image) in (416 * 416, 416)
    assert (image == 25).all()


def test_boxes_are_clipped_to_the_image_on_the_way_back():
    fit = letterbox_params((50, 100), (416, 416))
    back = boxes_from_letterbox(np.float32([[-50, 0, 500, 416]]), fit, (50, 100))
    np.testing.assert_array_equal(back, [[0, 0, 100, 50]])


def test_no_boxes_are_no_trouble():
    fit = letterbox_params((50, 100), (416, 416))
    there = boxes_to_letterbox(np.zeros((0, 4)), fit)
    assert there.shape == boxes_from_letterbox(there, fit, (50, 100)).shape == (0, 4)
