"""Find the image files that annotations name: often they are elsewhere, or called otherwise.

Of the images whose names agree but for the extension and capitals, the one that agrees best is
taken: by the folder of the annotation file, by the folders that it gives, then by the name itself.
Folders that only say what is in them do not count: labels/train/a.txt and images/train/a.jpg are in
one place. Where two images agree equally well, none is taken.
"""

import os
import re
from collections import defaultdict
from pathlib import Path, PurePath
from typing import NamedTuple
from urllib.parse import unquote

from yolov3.formats.common import ConversionLog
from yolov3.images import IMAGE_SUFFIXES

IMAGE_FOLDERS = ("images", "JPEGImages")
KINDS = {"annotations", "images", "jpegimages", "labels"}
UNREADABLE = frozenset(".avif .cr2 .dng .heic .heif .nef .psd .raw .svg".split())
UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")  # Label Studio puts it before the name of a file


class Found(NamedTuple):
    """An image file, and its folder seen from where the search began."""

    path: str  # absolute
    place: tuple[str, ...]  # its folders, in lower case, without those of `KINDS`


class ImageLookup:
    """The images below the folder `images`, or else those near the folder of the annotations."""

    def __init__(self, folder: Path, images: Path | None, log: ConversionLog):
        self.base, self._log = Path(os.path.abspath(images or folder)), log
        self.unused: dict[str, Found] = {}  # by path
        self._by_stem: dict[str, list[Found]] = defaultdict(list)  # in lower case
        for root in [self.base] if images else _folders_near(self.base):
            for path in log.search(root, IMAGE_SUFFIXES | UNREADABLE) if root.is_dir() else ():
                found = Found(str(path), place_of(path, root))
                if path.suffix.lower() in UNREADABLE:
                    log.add("skipped", "image", "in a format that is not read", [repr(found.path)])
                elif found.path not in self.unused:
                    self.unused[found.path] = found
                    self._by_stem[stem_of(path.name)].append(found)

    def find(self, name: str, place: tuple[str, ...] | None = None, there=False) -> Found | None:
        """Return the image that an annotation calls `name`, None if there is none.

        `place` is that of the annotation file, None if it describes all images; with `there`, only
        images in that place count. Raises ValueError where several agree equally well.
        """
        for text in (name, unquote(name)):
            *folders, last = _parts(text) or [""]
            for candidate in (last, UPLOAD.sub("", last)):
                found = self._choose(candidate, _kindless(folders), place, there)
                if found:
                    return found
        return None

    def use(self, path: str) -> Found | None:
        """Return the image at exactly this path, None if there is none."""
        path = os.path.normpath(path)
        self.unused.pop(path, None)
        return Found(path, ()) if os.path.isfile(path) else None

    def note_other_name(self, name: str, path: str, where: object) -> None:
        """Log that the image at `path` is not called, or not where, the annotation says."""
        parts = tuple(_parts(name))
        if PurePath(path).parts[-len(parts) :] != parts:
            self.note_elsewhere(f"{where} {name!r}", path)

    def note_elsewhere(self, annotation: str, path: str) -> None:
        """Log where the image of an annotation was found."""
        reason = "by another name or in another folder than annotated"
        self._log.add("found", "image", reason, [f"{annotation} is {path!r}"])

    def note_unused(self) -> None:
        """Log the images that no annotation names."""
        self._log.add(
            "skipped", "image", "without annotation", [repr(path) for path in self.unused]
        )

    def _choose(self, name: str, folders: tuple[str, ...], place, there: bool) -> Found | None:
        def agreement(one: Found) -> tuple:
            path = PurePath(one.path)
            shared = os.path.commonprefix([folders[::-1], _kindless(path.parts[:-1])[::-1]])
            same_name = path.name == name, path.name.lower() == name.lower(), path.stem == name
            return one.place == place, len(shared), *same_name, one.place == folders

        candidates = self._by_stem.get(stem_of(name)) or self._by_stem.get(name.lower(), [])
        candidates = [one for one in candidates if one.place == place or not there]
        if not candidates:
            return None
        best = max(map(agreement, candidates))
        chosen = [one for one in candidates if agreement(one) == best]
        for one in chosen:
            self.unused.pop(one.path, None)  # also of several: one has this annotation
        if len({os.path.realpath(one.path) for one in chosen}) > 1:
            shown = ", ".join(repr(one.path) for one in chosen)
            raise ValueError(f"{name!r} may be any of {len(chosen)} images: {shown}")
        return chosen[0]


def place_of(path: Path, root: Path) -> tuple[str, ...]:
    """Return the folders from `root` to a file in lower case, without those of `KINDS`."""
    return _kindless(path.relative_to(root).parts[:-1])


def _kindless(folders) -> tuple[str, ...]:
    return tuple(folder.lower() for folder in folders if folder.lower() not in KINDS)


def _parts(name: str) -> list[str]:
    """Split a path of any system, without what leads to its start."""
    return [part for part in re.split(r"[\\/]+", name) if part not in ("", ".", "..")]


def stem_of(name: str) -> str:
    """Return a name in lower case without the extension of an image, if it has one."""
    stem, suffix = os.path.splitext(name.lower())
    return stem if suffix in IMAGE_SUFFIXES | UNREADABLE else name.lower()


def _folders_near(folder: Path) -> list[Path]:
    """Return the folder itself and those of images beside it, or beside labels/ above it."""
    folders = [folder]
    for parent in (folder, *folder.parents):
        if parent == folder or parent.name.lower() in KINDS:
            below = folder.relative_to(parent)
            folders += [parent.parent / name / below for name in IMAGE_FOLDERS]
    return list({os.path.realpath(one): one for one in reversed(folders)}.values())[::-1]
