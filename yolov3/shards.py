"""Images in shards, which are uncompressed tar files: `shard-0001.tar#name.jpg` is one in there.

A few large files are copied faster than a million small ones, and need no look-up on a network
disk. Images are read where they lie in the tar, in any order.
"""

import errno
import functools
import io
import os
import tarfile
from typing import BinaryIO, NamedTuple

import numpy as np

from yolov3.files import regular_size

ENDING = ".tar"
MARK = ENDING + "#"
SMALL = 65536  # bytes that are read at once: as fast as a few of them


class Place(NamedTuple):
    """Where an image is stored: a part of a shard, or a whole file."""

    file: str
    start: int  # byte; 0 for a whole file: a tar begins with a header
    size: int  # bytes


def split_path(path) -> tuple[str, str]:
    """Return the file that holds an image, and for a shard the name of the image in it."""
    path = os.fspath(path)
    shard, mark, name = path.partition(MARK)
    return (shard + ENDING, name) if mark else (path, "")


def base_name(path) -> str:
    """Return the name of an image without its folder or shard."""
    file, name = split_path(path)
    return os.path.basename(name or file)


def find_image(path) -> Place:
    """Find an image. Raises OSError, whose `strerror` tells why."""
    file, name = split_path(path)
    size = regular_size(file)
    if not name:
        return Place(file, 0, size)
    names, places, fault = _index(file, size, os.stat(file).st_mtime_ns)
    name = os.fsencode(name.removeprefix("./"))
    row = names.searchsorted(name)
    if row < len(names) and names[row] == name:
        return Place(file, *places[row].tolist())
    if fault:
        raise OSError(errno.EINVAL, f"no complete, uncompressed tar file: {fault}")
    raise FileNotFoundError(errno.ENOENT, "no such file in the shard")


def open_image(place: Place) -> BinaryIO:
    """Open an image that was found. Raises OSError."""
    if not place.start:
        return open(place.file, "rb")
    part = _Part(place)
    if place.size > SMALL:
        return io.BufferedReader(part)
    with part:
        return io.BytesIO(part.readall())


@functools.cache
def _index(shard: str, size: int, mtime: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the names (N,) of the files in a shard, sorted, and their starts and sizes (N, 2).

    With it goes what is wrong with the shard, if it cannot be read to its end. A shard that has
    changed in size or time has another index.
    """
    places, fault = {}, ""
    try:
        with tarfile.open(shard, "r:") as tar:
            while member := tar.next():
                tar.members.clear()  # a kilobyte each
                if member.isreg() and not member.issparse():
                    name = os.fsencode(member.name.removeprefix("./"))
                    places[name] = member.offset_data, member.size
    except (OSError, tarfile.TarError, ValueError) as error:
        fault = str(error)
    names = np.array([*places], bytes)
    order = names.argsort()
    return names[order], np.array([*places.values()], int)[order], fault


class _Part(io.RawIOBase):
    """A part of a file, to be read as a file of its own."""

    def __init__(self, place: Place):
        self._place, self._position = place, 0
        self._descriptor = os.open(place.file, os.O_RDONLY)
        if hasattr(os, "posix_fadvise"):  # on Linux: do not read what lies behind the image
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_RANDOM)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + (0, self._position, self._place.size)[whence]
        return self._position

    def readinto(self, buffer) -> int:
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return self._read(self._place.size)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()

    def _read(self, count: int) -> bytes:
        rest = max(0, self._place.size - self._position)
        data = os.pread(self._descriptor, min(count, rest), self._place.start + self._position)
        self._position += len(data)
        return data
