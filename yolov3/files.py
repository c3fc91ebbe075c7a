"""Files: read with a bound, written completely or not at all, never over an input.

Reading. To open a pipe may wait for ever, a device such as /dev/zero never ends, and a sparse file
of a few bytes on the disk may claim terabytes. So only regular files are opened, up to a bound.

Writing. What is written appears under its name when it is complete, at whatever moment the process
is killed or the power fails:

    last-000750            complete
    .last-000750.partial   being written, or half deleted; the next `atomic_folder` removes it
    last-000750.replaced   complete too: the earlier last-000750, until the new one is in its place
"""

import contextlib
import errno
import hashlib
import itertools
import json
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args, get_origin

PARTIAL, REPLACED = ".partial", ".replaced"
NAME_BYTES, DIGEST_LETTERS = 255, 12  # of the name of a file, and of what shortens it
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
MAX_TEXT_BYTES = 2**30  # more than annotations of any public data set; bounds the memory
MAX_JSON_BYTES = 8 << 20  # ten thousand class names of 800 letters; parsed, it is 20 times as large


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
        raise IsADirectoryError(errno.EISDIR, "a folder", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return status.st_size


def read_bounded(path, max_bytes: int) -> bytes:
    """Read a regular file. Raises OSError as `regular_size`, and for a file that is larger."""
    size = regular_size(path)
    if size > max_bytes:
        raise OSError(errno.EFBIG, f"{size} bytes, more than {max_bytes}")
    with open(path, "rb") as stream:
        return stream.read(size)


def read_bytes(path, max_bytes: int = MAX_TEXT_BYTES, utf16: bool = False) -> bytes:
    """Read a text file. Raises ValueError that names it and says why.

    UTF-16 is refused, unless `utf16` is True.
    """
    try:
        content = read_bounded(path, max_bytes)
    except IsADirectoryError:
        raise ValueError(f"{path}: this is a folder, not a file") from None
    except OSError as error:
        raise ValueError(f"{path}: expected a text file; received {error.strerror}") from None
    if content.startswith(UTF16_BOMS) and not utf16:
        raise ValueError(f"{path}: expected UTF-8 text; received UTF-16 (save it as UTF-8)")
    return content


def read_json(path) -> dict:
    """Read a JSON object of at most 8 MiB. Raises ValueError, in one line, for anything else."""
    name = Path(path).name
    try:
        value = json.loads(read_bounded(path, MAX_JSON_BYTES).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{name}: {getattr(error, 'strerror', error)}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{name}: not a JSON object but {value!r:.80}")
    return value


def is_a(value, kind) -> bool:
    """Tell whether a value has a type such as int, list[str] or dict[str, float].

    An int counts as a float if a float can hold it; True and False are no numbers.
    """
    if isinstance(value, bool):
        return kind is bool
    if kind is float and isinstance(value, int):
        return abs(value) <= sys.float_info.max
    origin = get_origin(kind)
    if origin is None:
        return isinstance(value, kind)
    items = value.values() if isinstance(value, dict) else value
    item_kind = get_args(kind)[1 if origin is dict else 0]
    return isinstance(value, origin) and all(is_a(item, item_kind) for item in items)


def check_outputs(paths: Iterable[Path], inputs: Iterable[str | Path], overwrite: bool) -> None:
    """Raise ValueError if an output is one of the inputs, or exists and must not be replaced."""
    existing = [path for path in paths if os.path.lexists(path)]
    if existing and not overwrite:
        raise ValueError(f"{existing[0]}: expected a new file; it exists (see --overwrite)")
    read = {identity(path) for path in inputs if existing and os.path.exists(path)}
    for path in existing:
        if path.is_dir():
            raise ValueError(f"{path}: expected a file to write; received a folder")
        if path.exists() and identity(path) in read:
            raise ValueError(f"{path}: refusing to overwrite an input file")


def identity(path: str | Path) -> tuple[int, int]:
    """Return what tells a file or folder from all others, of a link what it leads to."""
    status = os.stat(path)
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def atomic_write(path, durable: bool = True) -> Iterator[Path]:
    """Give the name of a file to write, which takes the place of `path` when the block ends.

    The folder is made. If the block fails, nothing is left and what stood at `path` stays. Raises
    OSError. Unless `durable`, the disk is not waited for.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        yield partial
        if durable:
            sync(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file or nothing, without waiting for the disk. Raises OSError that names it."""
    try:
        with atomic_write(path, durable=False) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise OSError(f"{path}: {error.strerror}") from None


def write_files(texts: dict[Path, str]) -> None:
    """Write UTF-8 files, by path; their folders are made. All are written before one appears.

    Raises OSError if that fails; files of the same names are then as they were.
    """
    with contextlib.ExitStack() as stack:
        for path, text in texts.items():
            partial = stack.enter_context(atomic_write(path, durable=False))
            partial.write_bytes(text.encode())


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which takes the place of `target` when the block ends.

    If the block or the disk fails, the folder is removed and what stood at `target` stays. Raises
    OSError. One process at a time may write beside `target`.
    """
    _clear_up(target)
    partial = _partial(target)
    partial.mkdir(parents=True)
    try:
        yield partial
        for path in (*partial.iterdir(), partial):
            sync(path)
        replaced = target.with_name(target.name + REPLACED)
        if os.path.lexists(target):
            target.rename(replaced)
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync(target.parent)  # before anything older is removed
    remove_folder(replaced)


def fresh_folders(parents, prefix: str = "") -> list[Path]:
    """Make a new folder in each parent, all with the same name: prefix and time.

    Equal parents get one folder. Raises OSError if one cannot be made.
    """
    started = prefix + time.strftime("%Y%m%d-%H%M%S")
    for attempt in itertools.count(1):
        name = started if attempt == 1 else f"{started}-{attempt}"
        folders = [Path(parent, name) for parent in parents]
        if any(folder.exists() for folder in folders):
            continue
        with contextlib.suppress(FileExistsError):  # another process was quicker
            folders[0].mkdir(parents=True)
            for folder in folders[1:]:
                folder.mkdir(parents=True, exist_ok=True)
            return folders


@contextlib.contextmanager
def output_folder(given: str | None, parent: str) -> Iterator[Path]:
    """Give the folder for what a script writes: the given one, or a new one in `parent`.

    It is made at once, since it is no use to fail after the work. A new one goes if it is empty at
    the end. Raises OSError if it cannot be made.
    """
    folder = Path(given) if given else fresh_folders([parent])[0]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        if not given:
            with contextlib.suppress(OSError):  # something was written
                folder.rmdir()


def require_empty(folder) -> None:
    """Raise ValueError unless a folder does not exist yet, or is empty and may be written to."""
    if not os.path.exists(folder):
        return
    if not os.path.isdir(folder):
        raise ValueError(f"{folder}: not a folder")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{folder}: this folder may not be written to")
    if os.listdir(folder):
        raise ValueError(f"{folder}: this folder is not empty")


def short_name(stem: str, ending: str = "") -> str:
    """Return stem and ending, the stem cut where the name is longer than a file's may be.

    A digest in place of what was cut keeps names apart that were different.
    """
    content = stem.encode(errors="surrogateescape")  # whatever the locale
    room = NAME_BYTES - len(ending.encode())
    if len(content) <= room:
        return stem + ending
    digest = "~" + hashlib.sha256(content).hexdigest()[:DIGEST_LETTERS]
    return content[: room - len(digest)].decode(errors="ignore") + digest + ending


def remove_folder(folder: Path) -> None:
    """Remove a folder, if it is there, so that no half of it is left under its name."""
    if os.path.lexists(folder):
        doomed = _partial(folder)
        folder.rename(doomed)
        _delete(doomed)


def sync(path) -> None:
    """Have the disk hold a file or folder. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_up(parent: Path) -> None:
    """Remove what a killed process left in a folder of ours, and put back what it moved away."""
    for partial in parent.glob(".*" + PARTIAL):
        _clear_up(partial.with_name(partial.name[1:].removesuffix(PARTIAL)))
    for replaced in parent.glob("*" + REPLACED):
        _clear_up(replaced.with_name(replaced.name.removesuffix(REPLACED)))


def _clear_up(target):
    """Clear up after the writing of one folder: others beside it may be the user's own."""
    replaced = target.with_name(target.name + REPLACED)
    for leftover in filter(os.path.lexists, (_partial(target), _partial(replaced))):
        _delete(leftover)
    if os.path.lexists(replaced) and os.path.lexists(target):
        remove_folder(replaced)
    elif os.path.lexists(replaced):
        replaced.rename(target)


def _partial(path: Path) -> Path:
    return path.with_name(short_name(f".{path.name}", PARTIAL))


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():  # what a link points to is not ours
        shutil.rmtree(path)
    else:
        path.unlink()
