"""Many image files: their sizes by their headers, some 25,000 a second, and which are copies."""

import hashlib
import os
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from yolov3.cli.progress import track
from yolov3.images import ImageFileError, read_image_size
from yolov3.shards import find_image, open_image

PART_BYTES = 4096


def read_sizes(paths: Sequence[str], label: str) -> tuple[np.ndarray, dict[str, ImageFileError]]:
    """Return the widths and heights of images (P, 2), and by path the errors of those with none.

    These have 0 there. The progress is shown with a label.
    """
    errors: dict[str, ImageFileError] = {}
    place = {path: index for index, path in enumerate(dict.fromkeys(paths))}
    sizes = np.zeros((len(place), 2), np.int32)
    for path, index in track(place.items(), label, len(place)):
        try:
            sizes[index] = read_image_size(path)
        except ImageFileError as error:
            errors[path] = error
    return sizes[[place[path] for path in paths]], errors


def content_keys(paths: list[str], label: str = "comparing images") -> list[Hashable]:
    """Return a key for each file: files of the same content have the same one.

    Only files that agree in their sizes and in a part are read; the progress has a label. A file
    that cannot be read is like no other.
    """
    keys: dict[str, Hashable] = dict.fromkeys(paths)  # all alike, so far
    for key_of in (_size, _part, _whole):
        count = Counter(keys.values())
        alike = [path for path, key in keys.items() if count[key] > 1]
        for path in track(alike, label, len(alike)):
            try:
                keys[path] = keys[path], key_of(path)
            except OSError:
                keys[path] = path
    return [keys[path] for path in paths]


def _size(path: str) -> int:
    return find_image(path).size


def _part(path: str) -> bytes:
    """Return the digest of two parts amid the pixels; headers are often alike."""
    with open_image(find_image(path)) as stream:
        size, digest = stream.seek(0, os.SEEK_END), hashlib.sha256()
        for start in (size // 2, max(0, size - PART_BYTES)):
            stream.seek(start)
            digest.update(stream.read(PART_BYTES))
    return digest.digest()


def _whole(path: str) -> bytes:
    with open_image(find_image(path)) as stream:
        return hashlib.file_digest(stream, "sha256").digest()
