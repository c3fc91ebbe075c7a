"""Reading and writing images."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from yolov3.images import read_image, write_image


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_a_written_image_reads_back_in_rgb(tmp_path):
    image = noise(5, 7)
    path = tmp_path / "new folder" / "größe 1.png"
    write_image(path, image)
    np.testing.assert_array_equal(read_image(path), image)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image)


@pytest.mark.parametrize(
    ("name", "size_hw"), [("a.pgm", (5, 7)), ("wide.jpg", (1, 70_000)), ("small.jp2", (1, 1))]
)
def test_what_a_format_does_not_hold_is_said(tmp_path, capfd, name, size_hw):
    height, width = size_hw
    message = f"{name}: expected a format that holds {width}x{height} pixels in colour; received"
    with pytest.raises(ValueError, match=message):
        write_image(tmp_path / name, noise(height, width))
    assert not any(tmp_path.iterdir())
    assert capfd.readouterr().err == ""  # OpenCV keeps quiet


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk always full")
@pytest.mark.parametrize("size", [2, 200])
def test_a_full_disk_is_named_with_the_file(tmp_path, size):
    (tmp_path / "full.png").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: '.*full.png'"):
        write_image(tmp_path / "full.png", noise(size, size))


def save(array, path):
    Image.fromarray(array).save(path)
    return read_image(path)


def test_grey_images_have_three_equal_channels(tmp_path):
    grey = noise(4, 6)[..., 0]
    image = save(grey, tmp_path / "grey.png")
    assert image.shape == (4, 6, 3) and image.dtype == np.uint8
    assert (image == grey[..., np.newaxis]).all()


def test_transparency_is_dropped(tmp_path):
    rgb = noise(4, 6)
    rgba = np.dstack([rgb, noise(4, 6, seed=1)[..., 0]])
    np.testing.assert_array_equal(save(rgba, tmp_path / "rgba.png"), rgb)


def test_sixteen_bits_become_eight(tmp_path):
    grey = np.array([[0, 255, 256, 65535, 128 * 256]], np.uint16)
    image = save(grey, tmp_path / "deep.png")
    assert image.dtype == np.uint8
    assert abs(image[0, :, 0].astype(int) - [0, 1, 1, 255, 128]).max() <= 1


def smooth(height, width):
    """Return an image that compression changes little."""
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([rows * 255 // height, columns * 255 // width, (rows + columns) // 2 % 256])


@pytest.mark.parametrize(
    ("mode", "name", "tolerance"),
    [
        ("CMYK", "a.jpg", 6),
        ("CMYK", "a.tif", 1),
        ("YCbCr", "a.jpg", 6),
        ("LA", "a.png", 0),
        ("1", "a.png", 0),
        ("1", "a.tif", 0),
        ("P", "a.png", 0),
        ("P", "a.gif", 0),
        ("RGBA", "a.tif", 0),
        ("RGBA", "a.webp", 6),
        ("RGB", "a.jp2", 1),
        ("RGB", "a.bmp", 0),
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


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_of_colour_become_eight(tmp_path, suffix):
    rgb = smooth(40, 60).astype(np.uint8)
    for name, extra in (("rgb", []), ("rgba", [np.full((40, 60), 9999, np.uint16)])):
        deep_bgr = np.dstack([rgb[..., ::-1].astype(np.uint16) * 257, *extra])
        cv2.imwrite(str(tmp_path / f"{name}{suffix}"), deep_bgr)
        image = read_image(tmp_path / f"{name}{suffix}")
        assert abs(image.astype(int) - rgb).max() <= 1


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
    assert image.shape == expected.shape
    assert abs(image.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("size_wh", [(1, 1), (20_000, 2), (2, 20_000)])
def test_very_small_and_very_long_images(tmp_path, size_wh):
    image = noise(*size_wh[::-1])
    for name in ("a.png", "a.jpg"):
        write_image(tmp_path / name, image)
        assert read_image(tmp_path / name).shape == image.shape
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


def test_an_image_stands_upright_as_exif_says(tmp_path):
    upright = np.zeros((40, 80, 3), np.uint8)
    upright[:20, :40] = 200  # the top left quarter
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn clockwise to show
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(upright)))  # counter-clockwise
    turned.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    image = read_image(tmp_path / "turned.jpg")
    assert image.shape == upright.shape
    assert abs(image[5:15, 5:35].astype(int) - 200).max() < 10
    assert image[25:, 45:].max() < 10 and image[:15, 45:].max() < 10


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(ValueError, match="gone.png.*no such file"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(ValueError, match="received a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", bytes(1000)])
def test_garbage_is_refused(tmp_path, data):
    path = tmp_path / "garbage.png"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="garbage.png: expected an image; received"):
        read_image(path)


@pytest.mark.parametrize("name", ["image", "image.xyz", "image."])
def test_a_name_without_a_format_is_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(ValueError, match="expected an image's name"):
        write_image(tmp_path / "folder" / name, noise(3, 3))
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_an_os_error(tmp_path):
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OSError):
        write_image(tmp_path / "taken.png", noise(3, 3))
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        write_image(tmp_path / "file" / "image.png", noise(3, 3))
