"""Read MNIST from the mnist.npz of Keras."""

import io
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mnist.archives import check_archive, read_member

KEYS = ("x_train", "y_train", "x_test", "y_test")


def read_npz(file: Path | BinaryIO) -> tuple[np.ndarray, ...]:
    """Read training images (N, 28, 28), labels (N,), and the same for the test.

    Pickled arrays, which could run code, are refused. Raises ValueError for what is not such a
    file, besides what `zipfile` raises for damaged ones.
    """
    with zipfile.ZipFile(file) as archive:
        check_archive(archive)
        missing = {f"{key}.npy" for key in KEYS} - set(archive.namelist())
        if missing:
            raise ValueError(f"an archive without {', '.join(sorted(missing))}")
        contents = [read_member(archive, archive.getinfo(f"{key}.npy")) for key in KEYS]
    read_array = np.lib.format.read_array
    return tuple(read_array(io.BytesIO(content), allow_pickle=False) for content in contents)
