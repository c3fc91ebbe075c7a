"""Find the image files that annotations name: often they are elsewhere, or called otherwise.

Of the images whose names agree but for the extension and capitals, the one that agrees best is
taken: by the folder of the annotation file, by the folders that it gives, then by the name itself.
Folders that only say what is in them do not count: labels/train/a.txt and images/train/a.jpg are in
one place. Where two images agree equally well, none is taken; and none from a place beside that of
the annotation if there are images: a frame of val is not the one that train lacks.
"""

import os
import re
import unicodedata
from collections import defaultdict
from pathlib import Path, PurePath
from typing import NamedTuple
from urllib.parse import unquote

from yolov3.formats.common import ConversionLog
from yolov3.images import IMAGE_SUFFIXES

IMAGE_FOLDERS = {"image", "images", "img", "imgs", "jpegimages"}
KINDS = IMAGE_FOLDERS | {"annotation", "annotations", "label", "labels", "xml", "xmls"}
UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")  # Label Studio puts it before the name of a file

Place = tuple[str, ...]  # the folders of a file, in lower case, without those of `KINDS`


class Found(NamedTuple):
    """An image file, and its folder seen from where the search began."""

    path: str  # absolute
    place: Place


class ImageLookup:
    """The images below the folder `images`, or else those near the folder of the annotations.

    Those near are also in a folder beside it called `part`, as val2017.
    """

    def __init__(self, folder: Path, images: Path | None, log: ConversionLog, part: str = ""):
        self.base, self._log, self._part = Path(os.path.abspath(images or folder)), log, part
        self.unused: dict[str, Found] = {}  # by path
        self._by_stem: dict[str, list[Found]] = defaultdict(list)
        self._places: set[Place] = set()
        for root in [self.base] if images else _folders_near(self.base, part):
            for path in log.search(root, IMAGE_SUFFIXES) if root.is_dir() else ():
                found = Found(str(path), place_of(path, root))
                if found.path not in self.unused:
                    self.unused[found.path] = found
                    self._places.add(found.place)
                    self._by_stem[stem_of(path.name)].append(found)

    def locate(
        self, given: str, where: str, place: Place | None = None, folder="", names=()
    ) -> str:
        """Return the path of the image that `where` calls `given`, whether it is there or not.

        It is the first of `names`, else `given`, that is found in `folder` or as `find` does.
        """
        parts = path_parts(given)
        for name in filter(None, names or (given,)):
            exact = os.path.normpath(os.path.join(self.base, folder, name))
            if os.path.isfile(exact):
                self.unused.pop(exact, None)
                return exact
            found = self.find(name, where, place)
            if found:
                is_elsewhere = place and found.place and place != found.place
                if is_elsewhere or list(PurePath(found.path).parts[-len(parts) :]) != parts:
                    self.note(f"{where} {given!r}", found)
                return found.path
        return os.path.normpath(os.path.join(self.base, folder, given))

    def find(
        self, name: str, where: str, place: Place | None = None, is_stem: bool = False
    ) -> Found | None:
        """Return the image that an annotation calls `name`, None if there is none.

        `place` is that of the annotation file, None if it describes all images. A name that
        `is_stem` has no extension: a.jpg is that of a.jpg.png. Raises ValueError, naming `where`,
        where several agree equally.
        """
        url = unquote(name)  # of Label Studio, or with a signature
        for text in (name, url, url.rpartition("?d=")[2], name.partition("?")[0]):
            *folders, last = path_parts(text.strip()) or [""]
            for candidate in (last, UPLOAD.sub("", last)):
                found = self._choose(candidate, _kindless(folders), place, is_stem)
                if len(found) > 1 and len({os.path.realpath(one.path) for one in found}) > 1:
                    which = f"{len(found)} images: " + ", ".join(repr(one.path) for one in found)
                    raise ValueError(f"{where}: {name!r} may be any of {which}")
                if found:
                    return found[0]
        return None

    def note(self, annotation: str, found: Found) -> None:
        """Log an image that is not called, or not where, its annotation says."""
        reason = "by another name or in another folder than annotated"
        self._log.add("found", "image", reason, [f"{annotation} is {found.path!r}"])

    def note_unused(self) -> None:
        """Log the images that no annotation names."""
        self._log.add("skipped", "image", "without annotation", list(map(repr, self.unused)))

    def _choose(self, name: str, folders: Place, place: Place | None, is_stem: bool) -> list[Found]:
        """Return the images that agree best, which are no longer unused."""

        def shared(one: Found) -> int:
            of_image = _kindless(PurePath(one.path).parts[:-1])
            return len(os.path.commonprefix([folders[::-1], of_image[::-1]]))

        def agreement(one: Found) -> tuple:
            path = PurePath(one.path)
            same_name = path.name == name, path.name.lower() == name.lower(), path.stem == name
            is_there = one.place == folders or self._part in one.place
            return one.place == place, shared(one), *same_name, is_there

        def is_beside(one: Found) -> bool:
            return os.path.commonprefix([own, one.place]) not in (own, one.place)

        own = (self._part,) if place is None else place
        stems = [stem_of(name), name.lower()]
        stems = reversed(stems) if is_stem else stems
        candidates = next(filter(None, map(self._by_stem.get, stems)), [])
        if own in self._places:
            candidates = [one for one in candidates if not is_beside(one) or shared(one)]
        if len(candidates) > 1:
            best = max(map(agreement, candidates))
            candidates = [one for one in candidates if agreement(one) == best]
        for one in candidates:
            self.unused.pop(one.path, None)
        return candidates


def place_of(path: Path, root: Path) -> Place:
    """Return the folders from `root` to a file in lower case, without those of `KINDS`."""
    return _kindless(path.parts[len(root.parts) : -1])


def stem_of(name: str) -> str:
    """Return a name in lower case without the extension of an image, if it has one."""
    name = unicodedata.normalize("NFC", name).lower()  # macOS stores letters and accents apart
    stem, suffix = os.path.splitext(name)
    return stem if suffix in IMAGE_SUFFIXES else name


def path_parts(name: str) -> list[str]:
    """Split a path of any system, without what leads to its start."""
    return [part for part in re.split(r"[\\/]+", name) if part not in ("", ".", "..")]


def _kindless(folders) -> Place:
    return tuple(folder.lower() for folder in folders if folder.lower() not in KINDS)


def _folders_near(folder: Path, part: str) -> list[Path]:
    """Return the folder itself and those of images beside it, or beside labels/ above it."""
    near = {os.path.realpath(folder): folder}
    for parent in (folder, *folder.parents):
        if parent == folder or parent.name.lower() in KINDS:
            below = folder.relative_to(parent)
            for other in sorted(parent.parent.glob("*")):
                if other.name.lower() in IMAGE_FOLDERS | {part}:
                    other = other / below if (other / below).is_dir() else other
                    near.setdefault(os.path.realpath(other), other)
    return list(near.values())
