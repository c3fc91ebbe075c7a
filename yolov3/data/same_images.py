"""Find image files of the same content under several names."""

import hashlib
from collections import Counter
from collections.abc import Hashable

from yolov3.cli.progress import track
from yolov3.files import regular_size


def content_keys(paths: list[str], label: str = "comparing images") -> list[Hashable]:
    """Return a key for each file: files of the same content have the same one.

    Only files that agree in their sizes are read; the progress has a label. A file that cannot be
    read is like no other.
    """
    sizes = [_size(path) for path in paths]
    count = Counter(sizes)
    alike = [[path] for path, size in zip(paths, sizes, strict=True) if count[size] > 1]
    digests = {path: _digest(path) for [path] in track(alike, len(alike), label)}
    return [digests.get(path, path) for path in paths]


def _size(path: str) -> int | None:
    try:
        return regular_size(path)
    except OSError:
        return None


def _digest(path: str) -> Hashable:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError:
        return path
