"""The digits of the scenes: MNIST as Keras keeps it, or those of scikit-learn."""

import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnist.download import MNIST_SHA256, MNIST_URL, download
from mnist.scenes import SIDE
from mnist.sklearn_digits import read_offline_digits
from yolov3.files import atomic_write, read_bounded

KEYS = ("x_train", "y_train", "x_test", "y_test")  # of mnist.npz
MAX_FILE_BYTES = 2**27  # 128 MiB; MNIST has 11 MB, and 55 MB without compression
NUM_LABELS = 10


@dataclass(frozen=True)
class Digits:
    """Training and test digits: images (N, 28, 28) uint8 white on black, labels (N,) 0 to 9.

    `source` says where they come from and why. Raises ValueError for arrays of another kind.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str

    def __post_init__(self):
        _check("training", self.train_images, self.train_labels)
        _check("test", self.test_images, self.test_labels)


def _check(part: str, images: np.ndarray, labels: np.ndarray) -> None:
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE) or not len(images):
        raise ValueError(f"{part} images {images.dtype} {images.shape}, not uint8 (N, 28, 28)")
    if labels.shape != images.shape[:1] or not np.isin(labels, range(NUM_LABELS)).all():
        raise ValueError(f"{part} labels that are not 0 to 9 for each of {len(images)} images")


def find_digits(path=None, say=print, url: str = MNIST_URL, sha256: str = MNIST_SHA256) -> Digits:
    """Load the digits of `path`, else the best at hand; `source` says which and why.

    Without a path: the Keras cache, then the download, then the offline digits of scikit-learn.
    Raises ValueError for a bad path and OSError where even scikit-learn is missing.
    """
    if path is not None:
        return load_digits(path, "given with --mnist")
    cache = keras_cache()
    why = f"there is no {cache}"
    if cache.exists():
        try:
            return load_digits(cache, "the copy that Keras keeps")
        except ValueError as error:
            why = str(error)
    say(f"digits: {why}; downloading {url}")
    try:
        content = download(url, sha256)
    except ConnectionError as error:
        why = f"{why} and the download failed ({error}); for MNIST give --mnist FILE"
        source = f"the offline handwriting of scikit-learn, not MNIST, because {why}"
        return Digits(*read_offline_digits(), source=source)
    if not cache.exists():  # never over another file
        try:
            with atomic_write(cache) as partial:
                partial.write_bytes(content)
        except OSError as error:
            say(f"digits: the download could not be kept in {cache}: {error.strerror}")
    return Digits(*_read_npz(content), source=f"MNIST, downloaded from {url}")


def load_digits(path: str | Path, why: str = "") -> Digits:
    """Load the digits of an mnist.npz; `why` goes into their `source`.

    Raises ValueError naming the path, what was expected and what is there.
    """
    path = Path(path).expanduser()
    try:
        arrays = _read_npz(read_bounded(path, MAX_FILE_BYTES))
        return Digits(*arrays, source=f"{path} ({why})" if why else str(path))
    except Exception as error:  # for damaged files, zipfile and NumPy raise a dozen kinds
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        received = " ".join(reason.split())  # some have two lines
        raise ValueError(f"{path}: expected mnist.npz; received {received}") from None


def keras_cache() -> Path:
    """Return where Keras keeps MNIST: under KERAS_HOME, else under ~/.keras."""
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
    return Path(home) / "datasets" / "mnist.npz"


def _read_npz(content: bytes) -> list[np.ndarray]:
    """Read the four arrays of MNIST; pickled ones, which could run code, raise ValueError."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ValueError("a file that is no archive of arrays")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return [np.asarray(arrays[key]) for key in KEYS]
