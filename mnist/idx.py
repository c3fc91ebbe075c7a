"""Read MNIST from its original IDX files (http://yann.lecun.com/exdb/mnist), gzipped or not."""

import gzip
import math
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

STEMS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
DIMENSIONS = {"images": 3, "labels": 1}
ENDINGS = ("-idx{}-ubyte", ".idx{}-ubyte", "-idx{}-ubyte.gz", ".idx{}-ubyte.gz")
UNSIGNED_BYTE = 8  # the data type in the magic number 0, 0, type, dimensions
MAX_IDX_BYTES = 2**29  # 512 MiB


def is_idx_folder(folder: Path) -> bool:
    """Tell whether a folder holds at least one of the four IDX files."""
    return any(_find(folder, stem) for stem in STEMS)


def read_idx_folder(folder: Path) -> tuple[np.ndarray, ...]:
    """Read training images (N, 28, 28), labels (N,), and the same for the test, all uint8.

    Raises ValueError for a missing file or one that breaks the format.
    """
    paths = [_find(folder, stem) for stem in STEMS]
    for stem, path in zip(STEMS, paths, strict=True):
        if path is None:
            raise ValueError(f"IDX files without {_names(stem)[0]} (or {_names(stem)[2]})")
    return tuple(read_idx(path, _dimensions(stem)) for stem, path in zip(STEMS, paths, strict=True))


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read one uint8 array of so many dimensions; its header must agree with the file's length."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as stream:
        shape = _read_header(stream, path, dimensions)
        expected = math.prod(shape)
        if expected > MAX_IDX_BYTES:
            raise ValueError(f"{path.name} of {expected} bytes, more than {MAX_IDX_BYTES}")
        content = stream.read(expected + 1)  # one more, to see that the file ends there
    if len(content) != expected:
        length = "more" if len(content) > expected else f"{len(content)}"
        raise ValueError(f"{path.name} with {length} bytes after a header for {expected}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_header(stream: BinaryIO, path: Path, dimensions: int) -> tuple[int, ...]:
    header = stream.read(4 + 4 * dimensions)
    magic = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if len(header) != 4 + 4 * dimensions or header[:4] != magic:
        raise ValueError(f"{path.name} starting with {header[:4]!r}, not {magic!r} and its sizes")
    return struct.unpack(f">{dimensions}I", header[4:])  # big-endian


def _dimensions(stem: str) -> int:
    return DIMENSIONS[stem.partition("-")[2]]


def _names(stem: str) -> list[str]:
    return [stem + ending.format(_dimensions(stem)) for ending in ENDINGS]


def _find(folder: Path, stem: str) -> Path | None:
    paths = (folder / name for name in _names(stem))
    return next((path for path in paths if path.is_file()), None)
