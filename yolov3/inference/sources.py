"""The sources of a detection: images, videos, cameras and streams from a user's words."""

import glob
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import Enum
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from yolov3.cli.progress import counted
from yolov3.folder_search import find_files
from yolov3.images import IMAGE_SUFFIXES
from yolov3.inference.names import output_name, own_names, safe_name
from yolov3.text import printable

VIDEO_SUFFIXES = frozenset(
    ".3g2 .3gp .asf .avi .divx .f4v .flv .m2ts .m2v .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv "
    ".ts .vob .webm .wmv".split()
)
MEDIA_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES
URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
GLOB_SIGNS = re.compile(r"[*?[]")
CAMERA_DIGITS = 4  # a longer number is a mistyped name
NOTES = 5  # on what was left out that are shown of one folder


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

    A word is an image, a video, a folder (all images and videos at any depth, sorted), a pattern
    with `*`, `**`, `?` or `[...]`, the number of a camera, or a URL. What exists goes before what a
    word could also mean. What is left out of folders and patterns, such as hidden files, is said on
    stderr. `reserved` are names that no source gets, as outputs of ours have them. Raises
    ValueError for a word that names nothing.
    """
    found = {}
    for word in words:
        for kind, address, name in _expand(word):
            key = _place(address) if kind in (Kind.IMAGE, Kind.VIDEO) else address
            found.setdefault(key, (kind, address, name))
    videos = [name for kind, _, name in found.values() if kind is not Kind.IMAGE]
    names = own_names([name for *_, name in found.values()], reserved, videos)
    return [
        Source(kind, address, name)
        for (kind, address, _), name in zip(found.values(), names, strict=True)
    ]


def _expand(word: str) -> Iterator[tuple[Kind, str, Path]]:
    if os.path.isdir(word):
        folder = Path(word)
        found = find_files(folder, MEDIA_SUFFIXES)
        _tell_left_out(word, found.left_out + _count_others(found.others))
        if not found.files:
            raise ValueError(f"{folder}: no image or video in this folder")
        for path in found.files:
            yield _file(str(path), path.relative_to(folder))
    elif os.path.exists(word):
        yield _file(word, Path(Path(word).name))
    elif URL.match(word):
        yield Kind.STREAM, word, Path(_stream_name(word))
    elif word.isascii() and word.isdigit() and len(word) <= CAMERA_DIGITS:
        yield Kind.CAMERA, word, Path(f"camera-{word}")
    elif GLOB_SIGNS.search(word):
        for path in _matches(word):
            yield _file(str(path), Path(path.name))
    else:
        raise ValueError(f"{word}: no such image, video or folder, and no camera or URL")


def _file(address: str, path: Path) -> tuple[Kind, str, Path]:
    is_video = path.suffix.lower() in VIDEO_SUFFIXES
    return Kind.VIDEO if is_video else Kind.IMAGE, address, output_name(path, is_video)


def _matches(pattern: str) -> list[Path]:
    """Return the images and videos that match a pattern, each once, sorted."""
    parts = Path(pattern).parts
    if "**" in parts:  # `glob` would follow links in circles
        start = parts.index("**")
        folders = glob.glob(os.path.join(*parts[:start], "")) if start else [""]
        searched = {Path(folder): find_files(Path(folder), MEDIA_SUFFIXES) for folder in folders}
        media = [
            path
            for folder, found in searched.items()
            for path in found.files
            if _fits(path.relative_to(folder).parts, parts[start:])
        ]
        _tell_left_out(pattern, [note for found in searched.values() for note in found.left_out])
    else:
        shown = set(map(Path, glob.glob(pattern)))
        hidden = set(map(Path, glob.glob(pattern, include_hidden=True))) - shown
        media = [path for path in shown if _is_media(path)]
        notes = [counted(n, "hidden file") for n in [sum(map(_is_media, hidden))] if n]
        others = Counter(path.suffix.lower() for path in shown - {*media} if path.is_file())
        _tell_left_out(pattern, notes + _count_others(others))
    if not media:
        raise ValueError(f"{pattern}: no image or video matches this pattern")
    return sorted(media)


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _is_media(path: Path) -> bool:
    return path.suffix.lower() in MEDIA_SUFFIXES and path.is_file()


def _place(path: str) -> str:
    """Tell files apart: two ways to a folder lead to the same files, two names in it do not."""
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.join(os.path.realpath(folder), name)


def _count_others(others: Counter[str]) -> list[str]:
    common = sorted(others.items(), key=lambda item: (-item[1], item[0]))[:NOTES]
    endings = [f"{ending or 'none'} {count:,}" for ending, count in common]
    endings += ["..."] * (len(others) > NOTES)
    files = counted(others.total(), "file")
    return [f"{files} with other endings ({', '.join(endings)})"] if others else []


def _tell_left_out(word: str, notes: list[str]) -> None:
    """Say on stderr, in one line, what is not read though a folder or a pattern leads to it."""
    if len(notes) > NOTES:
        notes = [*notes[:NOTES], f"{len(notes) - NOTES:,} more like these"]
    if notes:
        print(printable(f"{word}: left out: {'; '.join(notes)}"), file=sys.stderr)


def _stream_name(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        protocol = url.partition("://")[0]  # the rest may hold a password
        raise ValueError(f"{protocol}://...: not a URL ({error})") from None
    stem = Path(parts.path).stem or parts.hostname or ""
    return safe_name(stem).strip("_") or "stream"
