"""Read zip archives in memory, with bounds on what they may unpack to."""

import errno
import io
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others may ask for 4 GB to unpack
MAX_MEMBERS = 500_000
MAX_TABLE_BYTES = 2**26  # 64 MiB; zipfile makes ten times as much of the table of contents
MAX_MEMBER_BYTES = 2**28  # 256 MiB; the largest array of MNIST has 47 MB
MAX_TOTAL_BYTES = 2**30  # 1 GiB unpacked


@contextmanager
def open_archive(file: Path | BinaryIO) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive, or raise ValueError for one that announces more than the bounds.

    A damaged one raises what `zipfile` does.
    """
    raw = io.FileIO(file) if isinstance(file, Path) else file
    try:
        with _Reader(raw) as stream, zipfile.ZipFile(stream) as archive:
            stream.max_read = sys.maxsize  # from here on, for the members
            _check_members(archive.infolist())
            yield archive
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise zipfile.BadZipFile("it points to a place before its start") from None


class _Reader(io.BufferedReader):
    """A file that gives no more than `max_read` bytes at once: zipfile asks for the table so."""

    max_read = MAX_TABLE_BYTES

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > self.max_read:
            raise ValueError(f"an archive with a table of {size} bytes, more than {self.max_read}")
        return super().read(size)


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"an archive of {len(members)} files, more than {MAX_MEMBERS}")
    total = sum(member.file_size for member in members)
    if total > MAX_TOTAL_BYTES:
        raise ValueError(f"an archive of {total} bytes unpacked, more than {MAX_TOTAL_BYTES}")
    for member in members:
        if member.compress_type not in METHODS:
            raise ValueError(f"{member.filename} that is neither stored nor deflated")


def read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int = MAX_MEMBER_BYTES
) -> bytes:
    """Unpack one member, or raise ValueError past `limit` bytes, whatever its header announces.

    Nothing is written to disk, so the path in the member's name has no power.
    """
    if member.file_size > limit:
        raise ValueError(f"{member.filename} of {member.file_size} bytes, more than {limit}")
    with archive.open(member) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{member.filename} of more than {limit} bytes")
    return content
