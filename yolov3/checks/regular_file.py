"""Files that others made: opened only if they are regular files, read only up to a bound.

To open a pipe may wait for ever, a device such as /dev/zero never ends, and a sparse file of a few
bytes on the disk may claim terabytes.
"""

import errno
import os
import stat


def regular_size(path) -> int:
    """Return the size in bytes of a regular file; the file is not opened.

    Raises OSError, whose `strerror` tells why, for anything else: nothing there, a folder, a pipe,
    a device, a loop of links, a name that no file can have.
    """
    try:
        status = os.stat(path)
    except ValueError as error:  # a zero byte, or letters that the file system cannot store
        raise OSError(errno.EINVAL, f"no file has such a name ({error})") from None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return status.st_size


def read_bounded(path, max_bytes: int) -> bytes:
    """Read a whole regular file. Raises OSError as `regular_size`, and for a larger file."""
    size = regular_size(path)
    if size > max_bytes:
        raise OSError(errno.EFBIG, f"{size} bytes, more than {max_bytes}")
    with open(path, "rb") as stream:
        return stream.read(size)
