"""What every source of digits must deliver: the arrays that `Digits` refuses."""

import numpy as np
import pytest
from digit_samples import some_arrays

from mnist.digit_set import Digits
from mnist.npz import KEYS


def digits_of(**changes) -> Digits:
    arrays = some_arrays() | changes
    return Digits(*(arrays[key] for key in KEYS), source="a test")


def test_a_sound_set_is_taken():
    assert digits_of().source == "a test"
    assert digits_of(y_train=np.arange(12) % 10).train_labels.max() == 9  # any kind of integer


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"x_train": np.full((12, 784), 255, np.uint8)}, r"training images uint8 \(12, 784\)"),
        ({"x_test": np.ones((5, 28, 28))}, "test images float64"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8)}, r"\(0, 28, 28\)"),
        ({"y_train": np.zeros(11, np.uint8)}, r"\(11,\) for 12 images"),
        ({"y_train": np.full(12, 0.5)}, "float64"),
        ({"y_test": np.array([0, 1, 2, 3, 10])}, "test labels from 0 to 10"),
        ({"y_test": np.array([-1, 1, 2, 3, 4])}, "from -1 to 4"),
    ],
)
def test_other_arrays_are_refused(changes, received):
    with pytest.raises(ValueError, match=received):
        digits_of(**changes)


def test_a_blank_digit_is_refused():
    images = some_arrays()["x_train"]
    images[7] = np.minimum(images[7], 63)
    with pytest.raises(ValueError, match="blank image, number 7 of the training images"):
        digits_of(x_train=images)
