"""Folders that are whole or absent, at whatever moment the process is killed or the power fails.

last-000750            whole
.last-000750.partial   being written, or half deleted; the next `write_whole` sweeps it away
last-000750.replaced   whole too: an earlier last-000750, until the new one stands in its place
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

REPLACED = ".replaced"


@contextlib.contextmanager
def write_whole(target: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which takes the place of `target` when the block ends.

    If the block or the disk fails, the folder is removed and what stood at `target` stays. Raises
    OSError. One process at a time may write beside `target`.
    """
    _tidy(target.parent)
    aside = _aside(target)
    aside.mkdir(parents=True)
    try:
        yield aside
        for path in (*aside.iterdir(), aside):
            _sync(path)
        replaced = target.with_name(target.name + REPLACED)
        if os.path.lexists(target):
            target.rename(replaced)
        aside.rename(target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _sync(target.parent)  # before anything older is removed
    remove_whole(replaced)


def remove_whole(folder: Path) -> None:
    """Remove a folder, if it is there, so that no half of it is left under its name."""
    if os.path.lexists(folder):
        doomed = _aside(folder)
        folder.rename(doomed)
        _delete(doomed)


def _tidy(parent):
    """Sweep away what a killed process left, and put back what it had moved out of the way."""
    for leftover in parent.glob(".*.partial"):
        _delete(leftover)
    for replaced in parent.glob("*" + REPLACED):
        target = replaced.with_name(replaced.name.removesuffix(REPLACED))
        if os.path.lexists(target):
            remove_whole(replaced)
        else:
            replaced.rename(target)


def _aside(folder):
    return folder.with_name(f".{folder.name}.partial")


def _delete(path):
    if path.is_dir() and not path.is_symlink():  # what a link points to is not ours
        shutil.rmtree(path)
    else:
        path.unlink()


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
