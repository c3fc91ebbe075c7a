"""The sources of a detection: images, videos, cameras and streams from a user's words."""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from yolov3.images import IMAGE_SUFFIXES

VIDEO_SUFFIXES = frozenset(
    ".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv".split()
)
URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
GLOB_SIGNS = re.compile(r"[*?[]")
CAMERA_DIGITS = 4  # a longer number is a mistyped name
UNSAFE = re.compile(r"[^\w.-]+")  # in the name of a file


class Kind(Enum):
    """How a source is read."""

    IMAGE = "image"
    VIDEO = "video"  # a file
    STREAM = "stream"  # a URL: a file over the network, or live
    CAMERA = "camera"


class Source(NamedTuple):
    """One image, video, stream or camera."""

    kind: Kind
    address: str  # path, URL, or number of a camera
    name: Path  # of its outputs: relative, without extension, unique

    @property
    def title(self) -> str:
        """The address for people, without the password of a URL."""
        if self.kind is Kind.CAMERA:
            return f"camera {self.address}"
        if self.kind is Kind.STREAM:
            secret, at, _ = urlsplit(self.address).netloc.rpartition("@")
            return self.address.replace(secret + at, "", 1)
        return self.address


def find_sources(words: Iterable[str], reserved: Iterable[str] = ()) -> list[Source]:
    """Return the sources that words name, in their order, each once; nothing is opened.

    A word is an image, a video, a folder (all images and videos at any depth, sorted, hidden
    ones left out), a pattern with `*`, `**`, `?` or `[...]`, the number of a camera, or a URL. What
    exists goes before what a word could also mean. `reserved` are names that no source gets, as
    outputs of ours have them. Raises ValueError for a word that names nothing.
    """
    found = {}
    for word in words:
        for kind, address, name in _expand(word):
            key = os.path.abspath(address) if kind in (Kind.IMAGE, Kind.VIDEO) else address
            found.setdefault(key, (kind, address, name))
    names = own_names([(kind, name) for kind, _, name in found.values()], reserved)
    return [
        Source(kind, address, name)
        for (kind, address, _), name in zip(found.values(), names, strict=True)
    ]


def _expand(word: str) -> Iterator[tuple[Kind, str, Path]]:
    if os.path.isdir(word):
        yield from _in_folder(Path(word))
    elif os.path.exists(word):
        yield _kind_of_file(Path(word)), word, Path(Path(word).stem)
    elif URL.match(word):
        yield Kind.STREAM, word, Path(_stream_name(word))
    elif word.isascii() and word.isdigit() and len(word) <= CAMERA_DIGITS:
        yield Kind.CAMERA, word, Path(f"camera-{word}")
    elif GLOB_SIGNS.search(word):
        yield from _matches(word)
    else:
        raise ValueError(f"{word}: no such image, video or folder, and no camera or URL")


def _in_folder(folder: Path) -> Iterator[tuple[Kind, str, Path]]:
    paths = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += [Path(parent, name) for name in files if not name.startswith(".")]
    media = sorted(path for path in paths if _is_media(path))
    if not media:
        raise ValueError(f"{folder}: no image or video in this folder")
    for path in media:
        yield _kind_of_file(path), str(path), path.relative_to(folder).with_suffix("")


def _matches(pattern: str) -> Iterator[tuple[Kind, str, Path]]:
    media = [path for path in sorted(glob.glob(pattern, recursive=True)) if _is_media(Path(path))]
    if not media:
        raise ValueError(f"{pattern}: no image or video matches this pattern")
    for path in media:
        yield _kind_of_file(Path(path)), path, Path(Path(path).stem)


def _is_media(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES and path.is_file()


def _kind_of_file(path: Path) -> Kind:
    return Kind.VIDEO if path.suffix.lower() in VIDEO_SUFFIXES else Kind.IMAGE


def _stream_name(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        protocol = url.partition("://")[0]  # the rest may hold a password
        raise ValueError(f"{protocol}://...: not a URL ({error})") from None
    stem = Path(parts.path).stem or parts.hostname or ""
    return UNSAFE.sub("_", stem).strip("._") or "stream"


def own_names(wanted: list[tuple[Kind, Path]], reserved: Iterable[str] = ()) -> list[Path]:
    """Number names that are taken or reserved. Case does not count, as on some file systems.

    A video's name becomes a folder for what belongs to its frames, so it is no other's folder.
    """
    folders = {_key(folder) for _, name in wanted for folder in name.parents}
    taken = {name.casefold() for name in reserved}
    names = []
    for kind, name in wanted:
        not_free = taken if kind is Kind.IMAGE else taken | folders
        own, number = name, 1
        while _key(own) in not_free:
            number += 1
            own = name.with_name(f"{name.name}-{number}")
        taken.add(_key(own))
        names.append(own)
    return names


def _key(name: Path) -> str:
    return str(name).casefold()
