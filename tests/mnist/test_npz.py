"""mnist.npz: what is read, and how a damaged or wrong file is refused."""

import zipfile

import numpy as np
import pytest
from digit_samples import assert_same, npz_bytes, some_arrays

from mnist.digits import load_digits_set
from mnist.npz import KEYS


def test_npz_is_read_as_it_is(tmp_path):
    path = tmp_path / "my mnist.NPZ"
    path.write_bytes(npz_bytes())
    digits = load_digits_set(path)
    assert_same(digits, some_arrays())
    assert digits.source == str(path)


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"y_test": None}, "without y_test.npy"),
        ({"x_train": np.full((12, 784), 255, np.uint8)}, r"uint8 \(12, 784\)"),
        ({"y_test": np.array([None] * 5)}, "allow_pickle"),
    ],
)
def test_npz_with_other_content_is_refused(tmp_path, changes, received):
    path = tmp_path / "mnist.npz"
    path.write_bytes(npz_bytes(**changes))
    with pytest.raises(ValueError, match=received) as error:
        load_digits_set(path)
    assert str(error.value).startswith(f"{path}: expected mnist.npz")


@pytest.mark.parametrize("keep", [0, 1, 100, -30])
def test_a_truncated_npz_is_refused_in_one_line(tmp_path, keep):
    path = tmp_path / "mnist.npz"
    path.write_bytes(npz_bytes()[:keep])
    with pytest.raises(ValueError, match="received BadZipFile") as error:
        load_digits_set(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        npz_bytes(),  # an archive where an array should be
        b"\x93NUMPY\x01\x00\x06\x00{'a':(",
        b"\x93NUMPY\x01\x00\xff\xff" + b" " * 65535,  # numpy's message has two lines
    ],
)
def test_a_damaged_array_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "mnist.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for key in KEYS:
            archive.writestr(f"{key}.npy", content)
    with pytest.raises(ValueError, match="expected mnist.npz") as error:
        load_digits_set(path)
    assert "\n" not in str(error.value)
