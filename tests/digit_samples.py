"""Small sets of random digits, and the files that hold such sets."""

import io
from pathlib import Path

import numpy as np

from mnist.digits import KEYS


def some_arrays(train: int = 12, test: int = 5) -> dict[str, np.ndarray]:
    """Return random digits with black borders, under the keys of mnist.npz."""
    rng = np.random.default_rng(1)
    arrays = {}
    for part, count in (("train", train), ("test", test)):
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 4:24, 4:24] = rng.integers(64, 256, (count, 20, 20))
        arrays[f"x_{part}"] = images
        arrays[f"y_{part}"] = rng.integers(0, 10, count).astype(np.uint8)
    return arrays


def assert_same(digits, arrays: dict[str, np.ndarray]) -> None:
    """Compare a `Digits` with arrays under the keys of mnist.npz."""
    read = (digits.train_images, digits.train_labels, digits.test_images, digits.test_labels)
    for key, value in zip(KEYS, read, strict=True):
        np.testing.assert_array_equal(value, arrays[key], err_msg=key)


def npz_bytes(**changes) -> bytes:
    """Return an mnist.npz of `some_arrays`, with some arrays replaced, or left out by None."""
    arrays = {key: value for key, value in (some_arrays() | changes).items() if value is not None}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def plain_digits(ink: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 10 squares for digits; the one of label k is `ink` + k all over."""
    labels = np.arange(10, dtype=np.uint8)
    return np.tile((ink + labels)[:, None, None], (1, 28, 28)), labels


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder by their paths in it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
