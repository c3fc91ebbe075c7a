"""Digits from images in a folder or a zip: the split, the ink, and what is refused."""

import numpy as np
import pytest
from digit_samples import image_files, png, some_arrays, write_set

from mnist import digit_images
from mnist.digit_images import decode_digit
from mnist.digits import load_digits_set


@pytest.fixture(params=["digits.zip", "digits"])
def image_set(request, tmp_path):
    """Return where to write a set of images: as a zip, and as a folder."""
    return tmp_path / request.param


def test_every_sixth_image_of_a_flat_set_goes_to_the_test(image_set):
    write_set(image_set, image_files() | {"README.txt": b"ten", "._7_1.png": b"mac"})
    digits = load_digits_set(image_set)
    # Sorted by label: 0 0 1 1 ... 7 7 8 9; every sixth of these.
    assert digits.test_labels.tolist() == [2, 5, 9]
    assert digits.train_labels.tolist() == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6, 7, 7, 8]
    images = some_arrays(train=18)["x_train"]
    np.testing.assert_array_equal(digits.test_images, images[[12, 15, 9]])
    np.testing.assert_array_equal(digits.train_images[:3], images[[0, 10, 1]])


def test_train_and_test_folders_are_kept_apart(image_set):
    files = list(image_files().items())
    inside = {f"train/{name}": content for name, content in files[:4]}
    inside |= {f"test/{name}": content for name, content in files[4:6]}
    write_set(image_set, inside)
    digits = load_digits_set(image_set)
    assert digits.train_labels.tolist() == [0, 1, 2, 3]
    assert digits.test_labels.tolist() == [4, 5]


def test_a_set_with_one_part_only_is_refused(image_set):
    write_set(image_set, {f"train/{name}": data for name, data in image_files().items()})
    with pytest.raises(ValueError, match="18 images for training and 0 for the test"):
        load_digits_set(image_set)


@pytest.mark.parametrize("content", [b"", b"no image", png(np.full((28, 28), 200, np.uint8))])
def test_an_image_that_cannot_be_used_is_named(image_set, content):
    write_set(image_set, image_files() | {"3_00003.png": content})
    with pytest.raises(ValueError, match=r"3_00003\.png: (not an|a blank) image"):
        load_digits_set(image_set)


def test_an_image_file_of_many_bytes_is_refused(image_set, monkeypatch):
    monkeypatch.setattr(digit_images, "MAX_IMAGE_BYTES", 5_000)
    write_set(image_set, image_files() | {"3_00003.png": bytes(5_001)})
    with pytest.raises(ValueError, match="3_00003.png.*more than 5000"):
        load_digits_set(image_set)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="0 images for training and 0 for the test"):
        load_digits_set(tmp_path)


@pytest.mark.parametrize("background", [0, 60, 200, 255])
def test_images_of_any_polarity_become_white_on_black(background):
    digit = some_arrays()["x_train"][0] // 4  # 0, or 16 to 63
    digit[14, 14] = 64
    shown = background + digit if background < 100 else background - digit
    np.testing.assert_array_equal(decode_digit(png(shown.astype(np.uint8))), digit)


def test_a_large_image_keeps_its_shape():
    tall = np.full((560, 280), 255, np.uint8)
    tall[80:480, 100:180] = 0  # a stroke 80 wide and 400 high, in the middle
    digit = decode_digit(png(tall))  # the square of 560 is shrunk 20 times
    expected = np.zeros((28, 28), np.uint8)
    expected[4:24, 12:16] = 255
    np.testing.assert_array_equal(digit, expected)


def test_colour_images_are_read_as_grey():
    digit = some_arrays()["x_train"][0]
    np.testing.assert_array_equal(decode_digit(png(np.stack([digit] * 3, axis=-1))), digit)
