"""Many image files: their sizes by their headers, some 25,000 a second, and which are copies."""

import contextlib
import functools
import hashlib
import os
from collections import Counter
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from yolov3.cli.progress import track
from yolov3.files import atomic_write
from yolov3.images import ImageFileError, read_image_size
from yolov3.shards import MARK, find_image, open_image, split_path

PART_BYTES = 4096
MANY = 20_000  # images, whose headers take a second
CACHES = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
CACHE = Path(CACHES, "yolov3", "headers.npy")
MAX_REMEMBERED = 8_000_000  # images, in 256 MB
HEADER = np.dtype(
    # The path as a number, size and time of its file, width and height of the image (0: not known).
    [("path", "u8"), ("version", "i8", 2), ("size_wh", "i4", 2)]
)


def read_sizes(paths: Sequence[str], label: str) -> tuple[np.ndarray, dict[str, ImageFileError]]:
    """Return the widths and heights of images (P, 2), and by path the errors of those with none.

    These have 0 there. The progress is shown with a label. The headers of many images are
    remembered in the user's cache folder, until an image, or its shard, changes in size or time.
    """
    digests = [hashlib.blake2b(os.fsencode(path), digest_size=8).digest() for path in paths]
    numbers = np.frombuffer(b"".join(digests), "u8")  # which no two paths are likely to share
    different, firsts, places = np.unique(numbers, return_index=True, return_inverse=True)
    headers, errors, is_many = np.zeros(len(different), HEADER), {}, len(different) >= MANY
    if is_many:
        headers["path"], headers["version"] = different, _versions(paths)[firsts]
        _recall(headers)
    sizes_wh = headers["size_wh"]
    unread = [(paths[firsts[index]], index) for index in np.flatnonzero(sizes_wh[:, 0] == 0)]
    for path, index in track(sorted(unread), label, len(unread)):  # images of one shard together
        try:
            sizes_wh[index] = read_image_size(path)
        except ImageFileError as error:
            errors[path] = error
    if is_many and len(unread) > len(errors):
        _remember(headers[sizes_wh[:, 0] > 0])
    return sizes_wh[places], errors


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


def same_content(paths: list[str], others: list[str]) -> list[tuple[int, int]]:
    """Return the index of each file that is also one of the others, and that of the first of them.

    Few files are read: one that has the size of none on the other side has no copy there.
    """
    sizes = set(map(_size, paths))
    near = [index for index, path in enumerate(others) if _size(path) in sizes]
    keys = content_keys([*(others[index] for index in near), *paths])
    first = dict(zip(reversed(keys[: len(near)]), reversed(near), strict=True))
    found = enumerate(keys[len(near) :])
    return [(index, first[key]) for index, key in found if key in first]


def _versions(paths: Sequence[str]) -> np.ndarray:
    """Return size and time (P, 2) of the files that hold images, 0 where there is none."""

    @functools.lru_cache(1)  # one look at a shard for all images of it that follow each other
    def version(file):
        try:
            found = os.stat(file)
        except (OSError, ValueError):  # `read_image_size` will say
            return 0, 0
        return found.st_size, found.st_mtime_ns

    each = (version(split_path(path)[0] if MARK in path else path) for path in paths)
    return np.fromiter(each, np.dtype(("i8", 2)), len(paths))


def _recall(headers: np.ndarray) -> None:
    """Fill in the sizes of the images that the cache has."""
    known = _load_cache()
    found = known[known["path"].searchsorted(headers["path"]).clip(max=len(known) - 1)]
    is_same = (found["path"] == headers["path"]) & (found["version"] == headers["version"]).all(1)
    headers["size_wh"][is_same] = found["size_wh"][is_same]


def _remember(headers: np.ndarray) -> None:
    """Add headers to the cache, if it can be written."""
    table = np.concatenate([headers, _load_cache()])[:MAX_REMEMBERED]
    newest = np.unique(table["path"], return_index=True)[1]
    with contextlib.suppress(OSError), atomic_write(CACHE, durable=False) as partial:
        with open(partial, "wb") as stream:
            np.save(stream, table[newest])


def _load_cache() -> np.ndarray:
    """Return the cache, `HEADER` (N,) by path, N > 0; a file that cannot be read is as none."""
    with contextlib.suppress(OSError, ValueError, EOFError):
        known = np.load(CACHE)
        if known.dtype == HEADER and known.ndim == 1 and len(known):
            return known
    return np.zeros(1, HEADER)


def _size(path: str) -> int | str:
    """Return the bytes of a file; the path of one that cannot be read, which is like no other."""
    try:
        return find_image(path).size
    except OSError:
        return path


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
