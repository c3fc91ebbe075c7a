"""YOLO txt: a label file per image with lines `class x_centre y_centre width height`.

The four numbers are fractions of the image's width and height, so the images are needed. A folder
of label files is read by their names: an image and its label file agree in them but for the
extension, in one folder or at the same place in two. A `data.yaml` of Ultralytics or Roboflow is
read by the images that it gives for train, val and test: folders, lists of folders, or text files
that list images. Their label files are in `labels` in place of `images`, or beside them.

An image without a label file is background. Lines of other models are read, too: detections with a
confidence at the end, poses, and the outlines of segmentation, `class x y x y x y ...`, whose box
is as large as they are.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from yolov3.class_names import names_in_yaml, read_class_names, read_yaml
from yolov3.formats.common import (
    ConversionLog,
    image_stems,
    parse_number,
    read_text,
    require,
    single_annotations,
)
from yolov3.formats.data_set import AnnotatedImage, DataSet, annotated_image
from yolov3.formats.image_lookup import ImageLookup, path_parts, place_of
from yolov3.images import IMAGE_SUFFIXES

CLASS_STEM = "classes"  # names no label file
LABEL_SUFFIX = ".txt"
CLASS_FILE = CLASS_STEM + LABEL_SUFFIX
CLASS_FILES = (CLASS_FILE, "obj.names", "_darknet.labels", "data.yaml")
YAML_SUFFIXES = (".yaml", ".yml")
SPLITS = ("train", "val", "valid", "test")
LINE = "class x_centre y_centre width height"
LABELS = re.compile(r"\s*(?:[-+.eE\d]+[ \t]+){4}[-+.eE\d]|\s*\Z")  # how a label file begins
TOLERANCE = 0.01  # over 0 and 1, from rounding; larger numbers are pixels or something else
DIGITS = 12  # significant ones that are written: a hundred-millionth of a pixel


def read_yolo(
    folder: Path, images: Path | None, class_names: list[str] | None, log: ConversionLog
) -> DataSet:
    """Read the label files below a folder as a `DataSet` of relative boxes.

    Images are looked for below `images`, or near the label files. Label files that cannot be read
    are faults in the log. Raises ValueError where there are no class names, and where label files
    belong to no image, all of them. `class_names` are those of labels without names of their own.
    """
    files = log.search(folder, {LABEL_SUFFIX})
    labels = [path for path in files if path.name.lower() != CLASS_FILE]
    class_names, are_poses = _class_names(folder, sorted(set(files) - set(labels)), class_names)
    lookup = ImageLookup(folder, images, log)
    pairs, places, strays = [], set(), []
    for label in labels:
        place = place_of(label, folder)
        try:
            found = lookup.find(label.stem, str(label), place)
        except ValueError as error:
            log.bad(error)
            continue
        if not found:
            strays.append(label)
            continue
        pairs.append((found.path, label))
        places.add(found.place)
        if found.place != place or Path(found.path).stem != label.stem:
            lookup.note(str(label), found)
    without = _note_strays(strays, log)
    if without and not (pairs or log.faults):
        raise ValueError(
            f"{folder}: {images or 'near it'}: expected images named like the label files; there "
            f"is none, not for {without[0]} either; {log.images_hint()}"
        )
    read, sources = _read_labels(pairs, len(class_names), are_poses, log)
    read = single_annotations(read, sources, log) + _background(lookup, places, log)
    read.sort(key=lambda image: image.path)
    return DataSet(read, class_names, list(map(str, labels)) or [str(folder)], relative=True)


def read_data_yaml(path: Path, folder: Path | None, log: ConversionLog) -> dict[str, DataSet]:
    """Read the splits of a data set by their names in the file.

    Paths start at `folder`, or else where the file says or is; of those of another machine the
    last folders count. A split that is not there, or has no label file, is left out with a note.
    Faults of label files are logged. Raises ValueError for a bad file, and where no split is left.
    """
    content = read_yaml(path)
    names, are_poses = names_in_yaml(content, path), "kpt_shape" in content
    root = content.get("path") or ""
    require(isinstance(root, str), f"{path}: path", "a folder", root)
    beside = path.absolute().parent
    bases = [folder.absolute()] if folder else [_find(root, [beside]) or beside, beside]
    sets = {}
    for split in filter(content.get, SPLITS):
        places = content[split] if isinstance(content[split], list) else [content[split]]
        require(all(isinstance(one, str) for one in places), f"{path}: {split}", "paths", places)
        pairs = _labelled_images(places, bases, split, log)
        if any(label for _, label in pairs):
            images, _ = _read_labels(pairs, len(names), are_poses, log)
            sources = [str(path), *sorted(str(label) for _, label in pairs if label)]
            sets[split] = DataSet(images, names, sources, relative=True)
        else:
            reason = "of a split without label files"
            log.add("skipped", "image", reason, [split], len(pairs))
    if not sets:
        raise ValueError(
            f"{path}: expected labelled images of {', '.join(SPLITS)}; "
            f"received none, in {' or '.join(map(str, dict.fromkeys(bases)))}"
        )
    return sets


def _class_names(
    folder: Path, files: list[Path], given: list[str] | None
) -> tuple[list[str], bool]:
    """Return the names in the class files of a data set, and whether its labels are of poses.

    Those given count if there is no such file, or several that disagree.
    """
    above = folder.absolute().parents[:2]
    candidates = [parent / name for parent in (folder, *above) for name in CLASS_FILES]
    files = files or [path for path in candidates if path.is_file()]
    are_poses = any("kpt_shape" in read_yaml(p) for p in files if p.suffix in YAML_SUFFIXES)
    lists = [read_class_names(path) for path in files]
    others = [path for path, names in zip(files, lists, strict=True) if names != lists[0]]
    if given and (others or not lists):
        return given, are_poses
    if not lists:
        raise ValueError(f"{folder}: expected class names in {CLASS_FILE}, or --names FILE")
    if others:
        raise ValueError(f"{others[0]}: other class names than in {files[0]}; give --names FILE")
    return lists[0], are_poses


def _note_strays(strays: Iterable[Path], log: ConversionLog) -> list[str]:
    """Log text files without an image; return those that are label files."""
    kinds: dict[bool, list[str]] = {True: [], False: []}
    for path in strays:
        try:
            is_label = bool(LABELS.match(read_text(path)))
        except ValueError:
            is_label = False
        kinds[is_label].append(repr(str(path)))
    log.add("dropped", "label file", "without an image", kinds[True])
    log.add("skipped", "text file", "without labels", kinds[False])
    return kinds[True]


def _background(lookup: ImageLookup, places: set, log: ConversionLog) -> list[AnnotatedImage]:
    """Return the images without a label file, in folders where others have one."""
    unused = lookup.unused.values()
    others = [repr(one.path) for one in unused if places and one.place not in places]
    log.add("skipped", "image", "in a folder without any label file", others)
    background = [one.path for one in unused if not places or one.place in places]
    return [annotated_image(path, (0, 0), [], []) for path in background]


def _labelled_images(
    places: list[str], bases: list[Path], split: str, log: ConversionLog
) -> list[tuple[Path, Path | None]]:
    """Return the images of a split, each with its label file, None if there is none."""
    labels: dict[Path, Path | None] = {}
    strays: set[Path] = set()
    for name in places:
        place = _find(name, bases)
        if not place:
            log.add("skipped", "folder", "not found", [f"{split}: {name!r}"])
            continue
        images = log.search(place, IMAGE_SUFFIXES) if place.is_dir() else _listed(place, bases, log)
        labels |= {image: _label_file(image) for image in images}
        if place.is_dir() and _in_labels(place).is_dir():
            strays.update(log.search(_in_labels(place), {LABEL_SUFFIX}))
    strays = {path for path in strays - set(labels.values()) if path.name.lower() != CLASS_FILE}
    _note_strays(sorted(strays), log)
    shared = {label for label, count in Counter(labels.values()).items() if label and count > 1}
    for label in shared:
        images = ", ".join(str(image) for image, other in labels.items() if other == label)
        log.bad(f"{label}: labels of several images: {images}")
    return [pair for pair in labels.items() if pair[1] not in shared]


def _find(place: str, bases: list[Path]) -> Path | None:
    """Return what a path of a `data.yaml` means: Roboflow's ../train is the folder train beside it.

    None if there is no such thing, in no base. Of a path that leads nowhere the end counts, but not
    a mere `images`, which may be of another split.
    """
    parts = path_parts(place)
    inner = "/".join(parts) if place.startswith("..") else place
    candidates = [base / one for one in (inner, place) for base in bases]
    for base in bases:
        for start in range(len(parts)):
            if parts[start:] != ["images"] or base.name in parts[:start][-1:]:
                candidates.append(base.joinpath(*parts[start:]))
    existing = (os.path.abspath(one) for one in candidates if os.path.exists(one))
    return next(map(Path, existing), None)


def _listed(path: Path, bases: list[Path], log: ConversionLog) -> list[Path]:
    """Return the images that a text file lists."""
    listed = list(filter(None, map(str.strip, read_text(path).splitlines())))
    images = [_find(line, [path.parent, *bases]) for line in listed]
    lost = [repr(line) for line, image in zip(listed, images, strict=True) if not image]
    log.add("dropped", "image", f"listed in {path.name}, not found", lost)
    return list(filter(None, images))


def _label_file(image: Path) -> Path | None:
    for path in (_in_labels(image), image):
        try:
            os.stat(label := path.with_suffix(LABEL_SUFFIX))
            return label
        except PermissionError:
            return label  # to read it will fail, which is reported: it is no background
        except OSError:
            continue
    return None


def _in_labels(path: Path) -> Path:
    """Return a path with `labels` in place of the last folder `images`."""
    before, found, after = f"{path}/".rpartition("/images/")
    return Path(before, "labels", after) if found else path


def _read_labels(
    pairs: list[tuple[Path | str, Path | None]], num_classes: int, are_poses: bool, log
) -> tuple[list[AnnotatedImage], list[str]]:
    """Return the images whose label files have no fault, and these files; faults are logged."""
    images, sources = [], []
    for image, label in pairs:
        try:
            lines = read_text(label).splitlines() if label else []
            rows = [
                _read_line(line.split(), num_classes, are_poses, f"{label}:{number}", log)
                for number, line in enumerate(lines, start=1)
                if line.strip()
            ]
        except ValueError as error:
            log.bad(error)
            continue
        boxes_xyxy, classes = [box for box, _ in rows], [label for _, label in rows]
        images.append(annotated_image(image, (0, 0), boxes_xyxy, classes))
        sources.append(str(label))
    return images, sources


def _read_line(
    fields: list[str], num_classes: int, is_pose: bool, where: str, log: ConversionLog
) -> tuple[list[float], int]:
    """Return the box as xyxy, and its class."""
    count, line = len(fields), " ".join(fields)
    if is_pose and count > 5:
        log.add("read", "box", "without the keypoints in its line", [where])
        fields, count = fields[:5], 5
    require(count in (5, 6) or count >= 7 and count % 2, where, f"'{LINE}'", line)
    label, *values = (parse_number(field, where) for field in fields)
    is_class = label.is_integer() and 0 <= label < num_classes
    require(is_class, where, f"a class in [0, {num_classes - 1}]", fields[0])
    are_fractions = all(-TOLERANCE <= value <= 1 + TOLERANCE for value in values)
    require(are_fractions, where, "fractions of the image from 0 to 1", line)
    if count > 6:
        log.add("read", "box", "as large as its outline", [where])
        xs, ys = values[::2], values[1::2]
        return [min(xs), min(ys), max(xs), max(ys)], int(label)
    if count == 6:
        log.add("read", "box", "without the confidence in its line", [where])
    x, y, width, height = values[:4]
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2], int(label)


def format_yolo(data: DataSet) -> dict[str, str]:
    """Write the label files of a data set and `classes.txt`: text by file name."""
    stems = image_stems(data.images, reserved=CLASS_STEM)
    texts = ("".join(format_labels(image)) for image in data.images)
    files = {f"{stem}.txt": text for stem, text in zip(stems, texts, strict=True)}
    return {CLASS_FILE: "\n".join(data.class_names) + "\n", **files}


def format_labels(image: AnnotatedImage) -> list[str]:
    """Return the lines of an image's label file."""
    low, high = image.boxes_xyxy[:, :2], image.boxes_xyxy[:, 2:]
    fractions_xywh = np.hstack([(low + high) / 2, high - low]) / np.tile(image.size_wh, 2)  # (N, 4)
    return [
        " ".join([str(label), *(format(value, f".{DIGITS}g") for value in box)]) + "\n"
        for label, box in zip(image.classes, fractions_xywh, strict=True)
    ]
