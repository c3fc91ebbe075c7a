"""Find image files of the same content under several names."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Hashable
from typing import BinaryIO

from yolov3.cli.progress import track
from yolov3.files import regular_size

PART_BYTES = 4096


def content_keys(paths: list[str], label: str = "comparing images") -> list[Hashable]:
    """Return a key for each file: files of the same content have the same one.

    Only files that agree in their sizes and in a part are read; the progress has a label. A file
    that cannot be read is like no other.
    """
    keys = {path: _size(path) for path in paths}
    for read in (_part, _whole):
        count = Counter(keys.values())
        alike = [[path] for path, key in keys.items() if count[key] > 1]
        for [path] in track(alike, len(alike), label):
            keys[path] = keys[path], _digest(path, read)
    return [keys[path] for path in paths]


def _size(path: str) -> int | None:
    try:
        return regular_size(path)
    except OSError:
        return None


def _digest(path: str, read: Callable[[BinaryIO], bytes]) -> Hashable:
    try:
        with open(path, "rb") as stream:
            return read(stream)
    except OSError:
        return path


def _part(stream: BinaryIO) -> bytes:
    """Return the digest of two parts amid the pixels; headers are often alike."""
    size, digest = stream.seek(0, os.SEEK_END), hashlib.sha256()
    for start in (size // 2, max(0, size - PART_BYTES)):
        stream.seek(start)
        digest.update(stream.read(PART_BYTES))
    return digest.digest()


def _whole(stream: BinaryIO) -> bytes:
    return hashlib.file_digest(stream, "sha256").digest()
