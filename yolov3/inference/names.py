"""Names of outputs: what file systems take, and never the same twice."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from yolov3.files import short_name

FORBIDDEN = re.compile(r'[<>:"/\\|?*]')  # on Windows, in part elsewhere


def safe_name(text: str) -> str:
    """Make any text the name of a file or folder. It may come out empty, or as another's."""
    printable = "".join(letter if letter.isprintable() else "_" for letter in text)
    return short_name(FORBIDDEN.sub("_", printable).strip(" .-"))


def own_names(
    wanted: Iterable[Path], reserved: Iterable[Path] = (), folders: Iterable[Path] = ()
) -> list[Path]:
    """Number names that are taken or reserved, also by one that differs only in case.

    Those of `folders` become folders for what belongs to the frames of a video, so they are no
    other's folder.
    """
    wanted, folders = list(wanted), set(folders)
    taken = set(map(_key, reserved))
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


def _key(name: Path) -> str:
    # macOS holds two Unicode forms of a letter for one name, and many systems two cases.
    return unicodedata.normalize("NFC", str(name)).casefold()
