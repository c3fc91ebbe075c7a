"""The letterbox of images.py, there and back."""

import numpy as np
import pytest

from yolov3.images import (
    GREY,
    boxes_from_letterbox,
    boxes_to_letterbox,
    letterbox,
    letterbox_params,
)

SIZES_WH = [(1, 1), (416, 416), (640, 480), (333, 777), (20000, 3), (3, 20000), (417, 1)]
INPUTS_HW = [(416, 416), (32, 32), (320, 608)]


@pytest.mark.parametrize("input_hw", INPUTS_HW)
@pytest.mark.parametrize("size_wh", SIZES_WH)
def test_the_image_is_centred_and_boxes_come_back_from_the_letterbox(size_wh, input_hw):
    width, height = size_wh
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 1, (50, 2, 2)), axis=1) * [width, height]
    boxes = np.vstack([corners.reshape(-1, 4), [0, 0, width, height]])
    fit = letterbox_params((height, width), input_hw)
    spare_x, spare_y = input_hw[1] - fit.size_wh[0], input_hw[0] - fit.size_wh[1]
    assert min(spare_x, spare_y) == 0 and min(fit.size_wh) >= 1
    assert fit.offset_xy == (spare_x // 2, spare_y // 2)
    there = boxes_to_letterbox(boxes, fit)
    assert there.dtype == np.float32
    back = boxes_from_letterbox(there, fit, (height, width))
    np.testing.assert_allclose(back, boxes, atol=1e-3, rtol=1e-7)  # float32 knows 7 digits


def test_letterbox_by_hand():
    filled = letterbox(np.full((50, 100, 3), 7, np.uint8), (416, 416))
    assert filled.dtype == np.uint8
    assert (filled[:104] == GREY).all() and (filled[312:] == GREY).all()
    assert (filled[104:312] == 7).all()
    fit = letterbox_params((50, 100), (416, 416))
    assert fit.size_wh == (416, 208) and fit.offset_xy == (0, 104)
    boxes = np.float32([[10, 20, 30, 50]])
    np.testing.assert_allclose(boxes_to_letterbox(boxes, fit), [[41.6, 187.2, 124.8, 312.0]])
    back = boxes_from_letterbox(np.float32([[-50, 0, 500, 416]]), fit, (50, 100))
    np.testing.assert_array_equal(back, [[0, 0, 100, 50]])  # clipped to the image
    none = np.zeros((0, 4))
    assert boxes_to_letterbox(none, fit).shape == boxes_from_letterbox(none, fit, (50, 100)).shape


def test_an_image_of_the_input_size_is_not_changed():
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
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
