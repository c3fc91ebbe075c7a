"""Search a folder for files by their endings: at any depth, through links, in any case."""

import os
import stat
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from yolov3.files import identity


class FoundFiles(NamedTuple):
    """The files that were found, sorted, and notes on what was left out."""

    files: list[Path]
    left_out: list[str]
    others: Counter[str]  # how many more there are that are not hidden, by their ending


def find_files(folder: Path, suffixes: Collection[str]) -> FoundFiles:
    """Return the files below a folder that end in one of `suffixes`, given in lower case: ".png".

    Links are followed, each folder is searched once. Left out are hidden files and folders (their
    names begin with a dot), links that lead nowhere, and folders that may not be read; a note names
    or counts them. Raises ValueError where `folder` is no folder or may not be read itself.
    """
    if not folder.is_dir():
        kind = "a file" if folder.exists() else "none"
        raise ValueError(f"{folder}: expected a folder; received {kind}")
    files: list[Path] = []
    notes: list[str] = []
    hidden: Counter[str] = Counter()
    others: Counter[str] = Counter()
    searched = {identity(folder)}

    def refuse(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise ValueError(f"{folder}: {error.strerror}")
        notes.append(f"folder {error.filename}: {error.strerror}")

    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        hidden["folder"] += sum(map(_is_hidden, folders))
        # Sorted, so that of two links to one folder always the same is followed.
        visible = sorted(name for name in folders if not _is_hidden(name))
        folders[:] = [name for name in visible if _is_new(Path(parent, name), searched, notes)]
        for name in names:
            path = Path(parent, name)
            if path.suffix.lower() not in suffixes:
                others[path.suffix.lower()] += not _is_hidden(name)
            elif _is_hidden(name):
                hidden["file"] += 1
            elif may_be_file(path):
                files.append(path)
            else:
                notes.append(f"{path}: a link that leads nowhere, or no regular file")
    for kind, count in hidden.items():
        if count:
            notes.append(f"{count:,} hidden {kind}{'s' if count > 1 else ''}")
    return FoundFiles(sorted(files), notes, +others)


def may_be_file(path: Path) -> bool:
    """Tell whether a path is a regular file, or may not be known to be one: its reader will say."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError as error:
        return isinstance(error, PermissionError)


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _is_new(folder: Path, searched: set, notes: list[str]) -> bool:
    """Tell whether a folder was not searched yet; a link to one that was gets a note."""
    try:
        found = identity(folder)
    except OSError as error:
        notes.append(f"folder {folder}: {error.strerror}")
        return False
    if found in searched:
        notes.append(f"folder {folder}: a link to a folder that is searched already")
        return False
    searched.add(found)
    return True
