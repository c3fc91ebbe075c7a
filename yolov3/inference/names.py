"""Names of outputs: what every file system takes, and never the same twice."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from yolov3.files import short_name

FORBIDDEN = re.compile(r'[<>:"/\\|?*]')  # on Windows, in part elsewhere
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # on Windows
FILE_SUFFIXES = frozenset(".avi .jpeg .jpg .json .mp4 .png .txt".split())  # of outputs


def safe_name(text: str) -> str:
    """Make any text the name of a file or folder. It may come out empty, or as another's."""
    printable = "".join(letter if letter.isprintable() else "_" for letter in text)
    name = FORBIDDEN.sub("_", unicodedata.normalize("NFC", printable)).lstrip(" .-").rstrip(" .")
    return short_name(f"_{name}" if DEVICES.match(name) else name)


def output_name(path: Path, is_folder: bool = False) -> Path:
    """Name the outputs of a file: without extension, and with no folder called as a file may be.

    `is_folder` says that there will be a folder of that name, for the frames of a video.
    """
    stem = _folder_name(path.stem) if is_folder else path.stem
    return Path(*map(_folder_name, path.parent.parts), stem if stem.strip(".") else "_")


def _folder_name(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return f"{stem}_{suffix[1:]}" if suffix.lower() in FILE_SUFFIXES else name


def own_names(
    wanted: Iterable[Path], reserved: Iterable[str] = (), folders: Iterable[Path] = ()
) -> list[Path]:
    """Number names that are taken or reserved.

    Taken are also names that some file systems hold for the same: in another case, in another
    Unicode normal form, with dots or blanks at the end. Those of `folders` become folders for what
    belongs to the frames of a video, so they are no other's folder.
    """
    wanted, folders = list(wanted), set(folders)
    taken = {_key(Path(name)) for name in reserved}
    parents = {_key(folder) for name in wanted for folder in name.parents}
    names, number = [], Counter()
    for name in wanted:
        own = name
        while _key(own) in taken or (name in folders and _key(own) in parents):
            number[name] += 1
            own = name.with_name(short_name(name.name, f"-{number[name] + 1}"))
        taken.add(_key(own))
        names.append(own)
    return names


def _key(name: Path) -> tuple[str, ...]:
    decomposed = unicodedata.normalize("NFD", str(name))
    same = unicodedata.normalize("NFD", decomposed.casefold())
    return tuple(part.rstrip(" .") for part in Path(same).parts)
