"""Where the digits come from: a path, the Keras cache, the MNIST download, or scikit-learn."""

import io
import os
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from mnist.digit_images import read_image_folder, read_image_zip
from mnist.digit_set import Digits
from mnist.download import MNIST_SHA256, MNIST_URL, download
from mnist.idx import is_idx_folder, read_idx_folder
from mnist.npz import read_npz
from mnist.sklearn_digits import read_offline_digits

EXPECTED = (
    "mnist.npz, a folder of IDX files, or a folder or zip of images named label_index "
    "such as 7_00012.png"
)
DAMAGED = (
    OSError,
    EOFError,
    KeyError,  # a member that the archive lacks
    MemoryError,  # a header that claims an absurd size
    NotImplementedError,  # an unusual compression method
    RuntimeError,  # an encrypted archive
    SyntaxError,  # the header of an array, which is Python text; so is TokenError
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def find_digits(
    path: str | Path | None = None,
    say: Callable[[str], None] = print,
    url: str = MNIST_URL,
    sha256: str = MNIST_SHA256,
) -> Digits:
    """Load the digits of `path`, else the best set at hand; `source` tells which and why.

    Without a path: the Keras cache, then the download, then the offline set of scikit-learn.
    Raises ValueError for a bad path and OSError where even scikit-learn is missing.
    """
    if path is not None:
        return load_digits_set(path, "given with --mnist")
    cache = keras_cache()
    why = f"there is no {cache}"
    if cache.exists():
        try:
            return load_digits_set(cache, "the copy that Keras keeps")
        except ValueError as error:
            why = str(error)
    say(f"digits: {why}; downloading {url}")
    try:
        content = download(url, sha256)
    except ConnectionError as error:
        return Digits(
            *read_offline_digits(),
            source=f"the offline handwriting of scikit-learn, not MNIST, because {why} and the "
            f"download failed ({error}); for MNIST give --mnist PATH",
        )
    _keep(content, cache, say)
    return Digits(*read_npz(io.BytesIO(content)), source=f"MNIST, downloaded from {url}")


def load_digits_set(path: str | Path, why: str = "") -> Digits:
    """Load the digits of a file or folder, see EXPECTED; `why` goes into their `source`.

    Raises ValueError naming the path, what was expected and what is there.
    """
    path = Path(path).expanduser()
    try:
        return Digits(*_reader(path)(path), source=f"{path} ({why})" if why else str(path))
    except DAMAGED as error:
        received = f"{type(error).__name__}: {error}"
    except ValueError as error:
        received = str(error)
    received = " ".join(received.split())  # some messages have two lines
    received = "".join(letter if letter.isprintable() else "?" for letter in received)
    raise ValueError(f"{path}: expected {EXPECTED}; received {received}")


def keras_cache() -> Path:
    """Return where Keras keeps MNIST: under KERAS_HOME, else under ~/.keras."""
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
    return Path(home) / "datasets" / "mnist.npz"


def _reader(path: Path) -> Callable:
    """Choose how to read a path from what it is; raise ValueError if it is none of these."""
    if path.is_dir():
        return read_idx_folder if is_idx_folder(path) else read_image_folder
    if not path.is_file():
        raise ValueError("no such file or folder")
    readers = {".npz": read_npz, ".zip": read_image_zip}
    if path.suffix.lower() not in readers:
        raise ValueError(f"a file of type {path.suffix!r}")
    return readers[path.suffix.lower()]


def _keep(content: bytes, cache: Path, say: Callable[[str], None]) -> None:
    """Save a download where Keras looks for it, whole or not at all; never over another file."""
    if cache.exists():
        return
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache.parent, prefix=".mnist-") as folder:
            (Path(folder) / cache.name).write_bytes(content)
            os.replace(Path(folder) / cache.name, cache)
    except OSError as error:
        say(f"digits: the download could not be kept in {cache}: {error.strerror}")
