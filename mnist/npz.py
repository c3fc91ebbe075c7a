"""Read MNIST from the mnist.npz of Keras."""

import io
import math
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mnist.archives import open_archive, read_member

KEYS = ("x_train", "y_train", "x_test", "y_test")
HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npz(file: Path | BinaryIO) -> tuple[np.ndarray, ...]:
    """Read training images (N, 28, 28), labels (N,), and the same for the test.

    Pickled arrays, which could run code, are refused. Raises ValueError for what is not such a
    file, besides what `zipfile` raises for damaged ones.
    """
    with open_archive(file) as archive:
        missing = {f"{key}.npy" for key in KEYS} - set(archive.namelist())
        if missing:
            raise ValueError(f"an archive without {', '.join(sorted(missing))}")
        return tuple(
            _read_array(key, read_member(archive, archive.getinfo(f"{key}.npy"))) for key in KEYS
        )


def _read_array(key: str, content: bytes) -> np.ndarray:
    """Read a .npy file whose header announces as many bytes as there are."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in HEADER_READERS:
        raise ValueError(f"{key}.npy of version {version}")
    shape, _, dtype = HEADER_READERS[version](stream)
    expected, received = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if expected != received and not dtype.hasobject:
        raise ValueError(f"{key}.npy with {received} bytes after a header for {expected}")
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
