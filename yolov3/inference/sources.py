"""The sources of a detection, images, videos, cameras and streams, and names for their outputs."""

import glob
import os
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from yolov3.files import short_name
from yolov3.folder_search import FoundFiles, find_files
from yolov3.formats.yolo import CLASS_STEM
from yolov3.images import IMAGE_SUFFIXES
from yolov3.text import counted, printable

VIDEO_SUFFIXES = frozenset(
    ".3g2 .3gp .asf .avi .divx .f4v .flv .m2ts .m2v .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv "
    ".ts .vob .webm .wmv".split()
)
MEDIA_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES
URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
GLOB_SIGNS = re.compile(r"[*?[]")
FORBIDDEN = re.compile(r'[<>:"/\\|?*]')  # in names of files on Windows, in part elsewhere
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
    def may_be_live(self) -> bool:
        """Whether its frames may come when they happen, without an end; a stream may be a file."""
        return self.kind in (Kind.STREAM, Kind.CAMERA)

    @property
    def title(self) -> str:
        """The address for people, without what may be secret in a URL: user, password, query."""
        if self.kind is Kind.CAMERA:
            return f"camera {self.address}"
        if self.kind is Kind.STREAM:
            secret, at, _ = urlsplit(self.address).netloc.rpartition("@")
            shown, has_query, _ = self.address.replace(secret + at, "", 1).partition("?")
            return f"{shown}?..." if has_query else shown
        return self.address


def find_sources(words: Iterable[str]) -> list[Source]:
    """Return the sources that words name, in their order, each once; nothing is opened.

    A word is an image, a video, a folder (all images and videos at any depth, sorted), a pattern
    with `*`, `**`, `?` or `[...]`, the number of a camera, or a URL. What exists goes before what a
    word could also mean. What is left out of folders and patterns, such as hidden files, is said on
    stderr. Raises ValueError for a word that names nothing.
    """
    found: dict[tuple, Source] = {}
    for word in words:
        for source in _expand(word):
            # Two ways to a folder lead to the same files, two names in it do not.
            folder, name = os.path.split(source.address)
            found.setdefault((os.path.realpath(folder), name), source)
    wanted = [source.name for source in found.values()]
    videos = [source.name for source in found.values() if source.kind is not Kind.IMAGE]
    names = own_names(wanted, reserved=[Path(CLASS_STEM)], folders=videos)
    return [source._replace(name=name) for source, name in zip(found.values(), names, strict=True)]


def _expand(word: str) -> Iterator[Source]:
    if os.path.isdir(word):
        yield from _found(word, find_files(Path(word), MEDIA_SUFFIXES), Path(word))
    elif os.path.exists(word):
        yield _file(word, Path(Path(word).name))
    elif URL.match(word):
        yield Source(Kind.STREAM, word, Path(_stream_name(word)))
    elif word.isascii() and word.isdigit() and len(word) <= CAMERA_DIGITS:
        yield Source(Kind.CAMERA, word, Path(f"camera-{word}"))
    elif GLOB_SIGNS.search(word):
        yield from _found(word, _matches(word))
    else:
        raise ValueError(f"{word}: no such image, video or folder, and no camera or URL")


def _found(word: str, found: FoundFiles, folder: Path | None = None) -> Iterator[Source]:
    _tell_left_out(word, found)
    if not found.files:
        raise ValueError(f"{word}: no image or video found")
    for path in found.files:
        yield _file(str(path), path.relative_to(folder) if folder else Path(path.name))


def _file(address: str, path: Path) -> Source:
    kind = Kind.VIDEO if path.suffix.lower() in VIDEO_SUFFIXES else Kind.IMAGE
    return Source(kind, address, path.with_name(path.stem if path.stem.strip(".") else "_"))


def _matches(pattern: str) -> FoundFiles:
    """Find the images and videos that match a pattern."""
    start, is_deep, end = pattern.rpartition("**")
    if not is_deep:
        paths = {path for path in map(Path, glob.glob(pattern)) if path.is_file()}
        media = {path for path in paths if path.suffix.lower() in MEDIA_SUFFIXES}
        others = Counter(path.suffix.lower() for path in paths - media)
        return FoundFiles(sorted(media), [], others)
    # Not by `glob`, which would follow links in circles.
    searched = [find_files(Path(folder), MEDIA_SUFFIXES) for folder in glob.glob(start or ".")]
    end = end.lstrip("/") or "*"
    media = {path for found in searched for path in found.files if path.match(end)}
    notes = [note for found in searched for note in found.left_out]
    return FoundFiles(sorted(media), notes, Counter())


def _tell_left_out(word: str, found: FoundFiles) -> None:
    """Say on stderr, in one line, what is not read though a folder or a pattern leads to it."""
    notes, more = found.left_out[:NOTES], len(found.left_out) - NOTES
    if more > 0:
        notes.append(f"{more:,} more like these")
    if found.others:
        common = Counter(dict(sorted(found.others.items()))).most_common(NOTES)
        endings = ", ".join(f"{ending or 'none'} {count:,}" for ending, count in common)
        notes.append(f"{counted(found.others.total(), 'file')} with other endings ({endings})")
    if notes:
        print(printable(f"{word}: left out: {'; '.join(notes)}"), file=sys.stderr)


def _stream_name(url: str) -> str:
    parts = urlsplit(url)
    return safe_name(Path(parts.path).stem or parts.hostname or "").strip("_") or "stream"


def safe_name(text: str) -> str:
    """Make any text the name of a file or folder. It may come out empty, or as another's."""
    printable = "".join(letter if letter.isprintable() else "_" for letter in text)
    return short_name(FORBIDDEN.sub("_", printable).strip(" .-"))


def own_names(
    wanted: Iterable[Path], reserved: Iterable[Path] = (), folders: Iterable[Path] = ()
) -> list[Path]:
    """Return the wanted names, numbered where another has that name already, whatever its capitals.

    No name may be `reserved`, in any folder. Those of `folders` become folders for what belongs to
    the frames of a video, so they are no other's folder.
    """
    wanted, folders = list(wanted), set(folders)
    taken, reserved = set(), set(map(_key, reserved))
    parents = {_key(folder) for name in wanted for folder in name.parents}
    names, number = [], Counter()
    for name in wanted:
        own = name
        while (
            _key(own) in taken
            or _key(Path(own.name)) in reserved
            or (name in folders and _key(own) in parents)
        ):
            number[name] += 1
            own = name.with_name(short_name(name.name, f"-{number[name] + 1}"))
        taken.add(_key(own))
        names.append(own)
    return names


def _key(name: Path) -> str:
    # macOS holds two Unicode forms of a letter for one name, and many systems two cases.
    return unicodedata.normalize("NFC", str(name)).casefold()
