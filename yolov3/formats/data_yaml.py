"""A `data.yaml`, as Ultralytics and Roboflow use it: where train, val and test are, class names.

A split is a folder of images, a list of folders, or a text file that lists images. The label file
of an image has its name, in the folder `labels` in place of `images` or else beside it.
"""

import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from yolov3.class_names import names_in_yaml, read_yaml
from yolov3.formats.common import ConversionLog, read_text, require
from yolov3.formats.data_set import AnnotatedImage, DataSet, annotated_image
from yolov3.formats.yolo import CLASS_FILE, LABEL_SUFFIX, note_strays, read_labels
from yolov3.images import IMAGE_SUFFIXES

SUFFIXES = (".yaml", ".yml")
SPLITS = ("train", "val", "valid", "test")


def read_data_yaml(path: Path, folder: Path | None, log: ConversionLog) -> dict[str, DataSet]:
    """Read the splits of a data set by their names in the file.

    Paths start at `folder`, or else where the file says or is; of those of another machine the
    last folders count. A split that is not there, or has no label file, is left out with a note.
    Faults of label files are logged. Raises ValueError for a bad file, and where no split is left.
    """
    content = read_yaml(path)
    names = names_in_yaml(content, path)
    root = content.get("path") or ""
    require(isinstance(root, str), f"{path}: path", "a folder", root)
    beside = path.absolute().parent
    bases = [folder.absolute()] if folder else [_find(root, [beside]) or beside, beside]
    sets = {}
    for split in filter(content.get, SPLITS):
        places = content[split] if isinstance(content[split], list) else [content[split]]
        require(all(isinstance(one, str) for one in places), f"{path}: {split}", "paths", places)
        found = {place: _find(place, bases) for place in places}
        lost = [f"{split}: {place!r}" for place, one in found.items() if not one]
        log.add("skipped", "folder", "not found", lost)
        data = _read_split([one for one in found.values() if one], bases, names, log)
        if data.sources:
            sets[split] = replace(data, sources=[str(path), *data.sources])
        else:
            reason = "of a split without label files"
            log.add("skipped", "image", reason, [split], len(data.images))
    if not sets:
        raise ValueError(
            f"{path}: expected labelled images of {', '.join(SPLITS)}; "
            f"received none, in {' or '.join(map(str, dict.fromkeys(bases)))}"
        )
    return sets


def _read_split(places: list[Path], bases: list[Path], names: list[str], log) -> DataSet:
    """Read the images in folders and lists; the sources are their label files."""
    images, labels = {}, set()
    for place in places:
        images |= {image: _label_file(image) for image in _images(place, bases, log)}
        if place.is_dir() and _in_labels(place).is_dir():
            labels.update(log.search(_in_labels(place), {LABEL_SUFFIX}))
    used = Counter(label for label in images.values() if label)
    for label in [label for label, count in used.items() if count > 1]:
        shared = [str(image) for image, other in images.items() if other == label]
        log.bad(f"{label}: labels of {len(shared)} images: {', '.join(shared)}")
        images = {image: other for image, other in images.items() if other != label}
    strays = {label for label in labels - used.keys() if label.name.lower() != CLASS_FILE}
    note_strays(sorted(strays), log, True, "")
    read = [_read_image(*pair, len(names), log) for pair in images.items()]
    sources = sorted(map(str, used))
    return DataSet([image for image in read if image], names, sources, relative=True)


def _find(place: str, bases: list[Path]) -> Path | None:
    """Return what a path of a `data.yaml` means: Roboflow's ../train is the folder train beside it.

    None if there is no such thing, in no base. Of a path that leads nowhere the end counts, but not
    a mere `images`, which may be of another split.
    """
    parts = [part for part in re.split(r"[\\/]+", place) if part not in ("", ".", "..")]
    inner = "/".join(parts) if place.startswith("..") else place
    candidates = [base / one for one in (inner, place) for base in bases]
    for base in bases:
        for start in range(len(parts)):
            if parts[start:] != ["images"] or base.name in parts[:start][-1:]:
                candidates.append(base.joinpath(*parts[start:]))
    existing = (os.path.abspath(one) for one in candidates if os.path.exists(one))
    return next(map(Path, existing), None)


def _images(found: Path, bases: list[Path], log: ConversionLog) -> list[Path]:
    """Return the images below a folder, or those that a text file lists."""
    if found.is_dir():
        return log.search(found, IMAGE_SUFFIXES)
    listed = list(filter(None, map(str.strip, read_text(found).splitlines())))
    images = [_find(line, [found.parent, *bases]) for line in listed]
    lost = [repr(line) for line, image in zip(listed, images, strict=True) if not image]
    log.add("dropped", "image", f"listed in {found.name}, not found", lost)
    return list(filter(None, images))


def _label_file(image: Path) -> Path | None:
    labels = (path.with_suffix(LABEL_SUFFIX) for path in (_in_labels(image), image))
    return next((path for path in labels if path.is_file()), None)


def _in_labels(path: Path) -> Path:
    """Return a path with `labels` in place of the last folder `images`."""
    before, found, after = f"{path}/".rpartition("/images/")
    return Path(before, "labels", after) if found else path


def _read_image(
    image: Path, label: Path | None, count: int, log: ConversionLog
) -> AnnotatedImage | None:
    """Return an annotated image, None if its label file has faults; they are logged."""
    try:
        boxes_and_classes = read_labels(label, count, log) if label else ([], [])
        return annotated_image(image, (0, 0), *boxes_and_classes)
    except ValueError as error:
        log.bad(error if str(label) in str(error) else f"{label}: {error}")
        return None
