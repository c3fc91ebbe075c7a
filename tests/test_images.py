"""Reading and writing images, and the letterbox."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from yolov3.images import (
    GREY,
    boxes_from_letterbox,
    boxes_to_letterbox,
    letterbox,
    letterbox_params,
    read_image,
    read_image_size,
    write_image,
)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_a_written_image_reads_back_in_rgb(tmp_path):
    image = noise(5, 7)
    path = tmp_path / "new folder" / "größe 1.png"
    write_image(path, image)
    np.testing.assert_array_equal(read_image(path), image)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image)


@pytest.mark.parametrize(
    ("name", "size_hw"),
    [
        ("image", (3, 3)),
        ("image.xyz", (3, 3)),
        ("a.pgm", (5, 7)),
        ("wide.jpg", (1, 70_000)),
        ("small.jp2", (1, 1)),
    ],
)
def test_a_name_without_a_fitting_format_is_refused(tmp_path, capfd, name, size_hw):
    height, width = size_hw
    message = f"{name}: expected an image's name .* holds {width}x{height} pixels in colour"
    with pytest.raises(ValueError, match=message):
        write_image(tmp_path / "folder" / name, noise(height, width))
    assert not any(tmp_path.iterdir())
    assert capfd.readouterr().err == ""  # OpenCV keeps quiet


def smooth(height, width):
    """Return an image that compression changes little."""
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([rows * 255 // height, columns * 255 // width, (rows + columns) // 2 % 256])


@pytest.mark.parametrize(
    ("mode", "name", "tolerance"),
    [
        ("CMYK", "a.jpg", 6),
        ("CMYK", "a.tif", 1),
        ("L", "a.png", 0),
        ("LA", "a.png", 0),
        ("RGBA", "a.png", 0),
        ("1", "a.png", 0),
        ("P", "a.png", 0),
        ("P", "a.gif", 0),
        ("RGBA", "a.tif", 0),
        ("RGBA", "a.webp", 6),
        ("RGB", "a.jp2", 1),
    ],
)
def test_kinds_of_images_look_as_they_do_in_pillow(tmp_path, mode, name, tolerance):
    saved = Image.fromarray(smooth(40, 60).astype(np.uint8)).convert(mode)
    saved.save(tmp_path / name)
    expected = np.asarray(Image.open(tmp_path / name).convert("RGB"))
    image = read_image(tmp_path / name)
    assert image.dtype == np.uint8 and image.shape == (40, 60, 3)
    assert abs(image.astype(int) - expected).max() <= tolerance
    assert expected.std() > 20


@pytest.mark.parametrize("name", ["grey.png", "rgb.png", "rgba.png", "rgb.tif", "rgba.tif"])
def test_sixteen_bits_become_eight(tmp_path, name):
    rgb = smooth(40, 60).astype(np.uint8)
    if name == "grey.png":
        rgb[:] = rgb[..., :1]
    deep_bgr = {
        "grey": rgb[..., 0],
        "rgb": rgb[..., ::-1],
        "rgba": np.dstack([rgb[..., ::-1], rgb[..., 0]]),
    }[name[:-4]].astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / name), deep_bgr)
    assert abs(read_image(tmp_path / name).astype(int) - rgb).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_all_orientations_of_exif_are_those_of_pillow(tmp_path, suffix, orientation):
    path = tmp_path / f"a{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {".jpg": {"quality": 95}, ".webp": {"lossless": True}}.get(suffix, {})
    Image.fromarray(smooth(40, 60).astype(np.uint8)).save(path, exif=exif, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    image = read_image(path)
    assert image.shape == expected.shape and read_image_size(path) == image.shape[1::-1]
    assert abs(image.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("size_wh", [(1, 1), (20_000, 2), (2, 20_000)])
def test_very_small_and_very_long_images(tmp_path, size_wh):
    image = noise(*size_wh[::-1])
    for name in ("a.png", "a.jpg"):
        write_image(tmp_path / name, image)
        assert read_image(tmp_path / name).shape == image.shape
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


# The letterbox there and back

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
