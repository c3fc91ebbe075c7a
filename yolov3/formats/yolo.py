"""YOLO txt: a label file per image with lines `class x_centre y_centre width height`.

The four numbers are fractions of the image's width and height, so the images are needed. An image
and its label file have the same name but for the extension, in one folder or at the same place in
two. An image without a label file is background, if others in its folder have one.

A `data.yaml` of Ultralytics or Roboflow says where train, val and test are: folders of images, or
text files that list images. The label files are in `labels` in place of `images`, or beside them.

Lines of other models are read, too: detections with a confidence at the end, poses, and the
outlines of segmentation, `class x y x y x y ...`, whose box is as large as they are.
"""

import os
import re
from functools import cache
from pathlib import Path

import numpy as np

from yolov3.class_names import names_in_yaml, read_class_names, read_yaml
from yolov3.folder_search import may_be_file
from yolov3.formats import data_set
from yolov3.formats.common import IMAGES_HINT, ConversionLog, parse_number, read_text
from yolov3.formats.data_set import AnnotatedImage, DataSet, annotated_image
from yolov3.formats.image_lookup import ImageLookup, path_parts, place_of
from yolov3.text import require

CLASS_STEM = "classes"
LABEL_SUFFIX = ".txt"
CLASS_FILE = CLASS_STEM + LABEL_SUFFIX
NAMES_FILE = "obj.names"  # where an image is called as the class file
CLASS_FILES = (CLASS_FILE, NAMES_FILE, "_darknet.labels", "data.yaml")
LABEL = re.compile(r"\d+(\s+[-+.\de]+){4,}")
YAML_SUFFIXES = (".yaml", ".yml")
SPLITS = ("train", "val", "valid", "test")
LINE = "class x_centre y_centre width height"
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
    files = _label_files(folder, log)
    folder = folder if files else _labels_of(folder)
    files = files or _label_files(folder, log)
    reader = LabelReader(*_kind_of_labels(folder, class_names, log), log)
    read = reader.read_folder(files, folder, ImageLookup(folder, images, log))
    if not (read or log.faults):
        example = f", not for {str(files[0])!r} either" if files else ""
        what = f"label files, and images named like them {images or 'near it'}"
        raise ValueError(f"{folder}: expected {what}; there is none{example}; {IMAGES_HINT}")
    return DataSet(read, reader.class_names, list(map(str, files)), relative=True)


def read_data_yaml(path: Path, folder: Path | None, log: ConversionLog) -> dict[str, DataSet]:
    """Read the splits of a data set by their names in the file.

    Paths start at `folder`, or else where the file says or is; of those of another machine the
    last folders count. A split that is not there, or has no label file, is left out with a note.
    Faults of label files are logged. Raises ValueError for a bad file, and where no split is left.
    """
    content = read_yaml(path)
    reader = LabelReader(names_in_yaml(content, path), "kpt_shape" in content, log)
    root = content.get("path") or ""
    require(isinstance(root, str), f"{path}: path", "a folder", root)
    beside = path.absolute().parent
    bases = [folder.absolute() if folder else _find(root, [beside]) or beside, beside]
    sets = {}
    for split in filter(content.get, SPLITS):
        places = content[split] if isinstance(content[split], list) else [content[split]]
        require(all(isinstance(one, str) for one in places), f"{path}: {split}", "paths", places)
        images, sources = [], [str(path)]
        for name in places:
            place = _find(name, bases)
            if not place:
                log.add("skipped", "folder", "not found", [f"{split}: {name!r}"])
            elif place.is_dir():
                labels = _labels_of(place)
                files = _label_files(labels, log)
                sources += map(str, files)
                images += reader.read_folder(files, labels, ImageLookup(labels, place, log))
            else:
                images += reader.read_list(place, bases, sources)
        images = data_set.single_annotations(images, [f"{path}: {split}"] * len(images), log)
        if images:
            sets[split] = DataSet(images, reader.class_names, sources, relative=True)
    if not sets and not log.faults:
        what = f"images with label files of {', '.join(SPLITS)}"
        where = " or ".join(map(str, dict.fromkeys(bases)))
        raise ValueError(f"{path}: expected {what}; received none, in {where}")
    return sets


def _label_files(folder: Path, log: ConversionLog) -> list[Path]:
    files = log.search(folder, {LABEL_SUFFIX})
    return [path for path in files if not _is_class_file(path)]


def _is_class_file(path: Path) -> bool:
    """Tell class names from the labels of an image that is called `classes`."""
    if path.name.lower() != CLASS_FILE:
        return path.name.lower() in CLASS_FILES
    return not all(LABEL.fullmatch(line.strip()) for line in read_text(path).splitlines())


def _kind_of_labels(folder: Path, given: list[str] | None, log: ConversionLog) -> tuple:
    """Read the class files of a data set; return the names, and whether its labels are poses.

    The files are those in its folder and beside that, or else those one folder above. The names
    given count where there is none, or where two disagree.
    """

    def class_files_in(parent: Path) -> list[Path]:
        return [path for name in CLASS_FILES if (path := parent / name).is_file()]

    found = log.search(folder, {Path(name).suffix for name in CLASS_FILES})
    above = folder.absolute().parent
    files = [*filter(_is_class_file, found), *class_files_in(above)]
    files = files or class_files_in(above.parent)
    lists = [read_class_names(path) for path in files]
    others = [path for path, names in zip(files, lists, strict=True) if names != lists[0]]
    if not (given or lists):
        raise ValueError(f"{folder}: expected class names in {CLASS_FILE}, or --names FILE")
    if others and not given:
        raise ValueError(f"{others[0]}: other class names than in {files[0]}; give --names FILE")
    are_poses = any("kpt_shape" in read_yaml(p) for p in files if p.suffix in YAML_SUFFIXES)
    return given if others or not lists else lists[0], are_poses


def _labels_of(images: Path) -> Path:
    """Return where label files of images are: in labels/ for images/, or in it, or beside them."""
    for parent in (images, *images.parents):
        if parent.name.lower() == "images":
            for other in sorted(parent.parent.glob("[lL]abels")):
                if (other / images.relative_to(parent)).exists():
                    return other / images.relative_to(parent)
    inside = images / "labels"
    return inside if inside.is_dir() else images


def _label_file(image: Path, folder: Path) -> Path | None:
    """Return the label file of an image, in a folder or beside it; None where there is none."""
    endings = LABEL_SUFFIX, LABEL_SUFFIX.upper(), f"{image.suffix}{LABEL_SUFFIX}"
    candidates = (at / f"{image.stem}{end}" for at in (folder, image.parent) for end in endings)
    return next(filter(may_be_file, candidates), None)


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


class LabelReader:
    """Read label files by what their numbers mean: classes, and in poses keypoints."""

    def __init__(self, class_names: list[str], are_poses: bool, log: ConversionLog):
        self.class_names, self.are_poses, self.log = class_names, are_poses, log

    def read_folder(self, files: list[Path], folder: Path, lookup: ImageLookup) -> list:
        """Return the images of label files below a folder, and the background among them."""
        read, sources, places, strays = [], [], set(), []
        for file in files:
            place = place_of(file, folder)
            try:
                found = lookup.find(file.stem, str(file), place, is_stem=True)
                if not found:
                    strays.append(repr(str(file)))
                    continue
                places.add(found.place)
                read.append(self._read_labels(found.path, file))
                sources.append(str(file))
            except ValueError as error:
                self.log.bad(error)
                continue
            if found.place != place or Path(found.path).stem != file.stem:
                lookup.note(str(file), found)
        self.log.add("dropped", "text file", "with no image of its name", strays)
        unused = lookup.unused.values()
        others = [repr(one.path) for one in unused if one.place not in places]
        self.log.add("skipped", "image", "in a folder without any label file", others)
        background = [one.path for one in unused if one.place in places]
        read = data_set.single_annotations(read, sources, self.log)
        read += [annotated_image(path, (0, 0), [], []) for path in background]
        return sorted(read, key=lambda image: image.path)

    def read_list(self, path: Path, bases: list[Path], sources: list[str]) -> list:
        """Return the images that a text file lists, unless none of them has a label file.

        The label files are added to `sources`.
        """
        lines = list(filter(None, map(str.strip, read_text(path).splitlines())))
        images = [_find(line, [path.parent, *bases]) for line in lines]
        lost = [repr(line) for line, image in zip(lines, images, strict=True) if not image]
        self.log.add("dropped", "image", f"listed in {path.name}, not found", lost)
        folder_of = cache(_labels_of)
        labels = {one: _label_file(one, folder_of(one.parent)) for one in images if one}
        if not any(labels.values()):
            reason = f"listed in {path.name}, where none has a label file"
            self.log.add("skipped", "image", reason, [repr(str(image)) for image in labels])
            return []
        sources += map(str, filter(None, labels.values()))
        read = []
        for image, label in labels.items():
            try:
                read.append(self._read_labels(image, label))
            except ValueError as error:
                self.log.bad(error)
        return read

    def _read_labels(self, image: Path | str, path: Path | None) -> AnnotatedImage:
        """Return an image with the boxes of its label file, without one as background."""
        boxes_xyxy, classes = [], []
        for number, line in enumerate(read_text(path).splitlines() if path else [], start=1):
            if line.strip():
                box_xyxy, label = self._read_line(line.split(), f"{path}:{number}")
                boxes_xyxy.append(box_xyxy)
                classes.append(label)
        return annotated_image(image, (0, 0), boxes_xyxy, classes)

    def _read_line(self, fields: list[str], where: str) -> tuple[list[float], int]:
        """Return the box as xyxy, and its class."""
        count, line, num_classes = len(fields), " ".join(fields), len(self.class_names)
        if self.are_poses and count > 5:
            self.log.add("read", "box", "without the keypoints in its line", [where])
            fields, count = fields[:5], 5
        require(count in (5, 6) or count >= 7 and count % 2, where, f"'{LINE}'", line)
        label, *values = (parse_number(field, where) for field in fields)
        is_class = label.is_integer() and 0 <= label < num_classes
        require(is_class, where, f"a class in [0, {num_classes - 1}]", fields[0])
        are_fractions = all(-TOLERANCE <= value <= 1 + TOLERANCE for value in values)
        require(are_fractions, where, "fractions of the image from 0 to 1", line)
        if count > 6:
            self.log.add("read", "box", "as large as its outline", [where])
            xs, ys = values[::2], values[1::2]
            return [min(xs), min(ys), max(xs), max(ys)], int(label)
        if count == 6:
            self.log.add("read", "box", "without the confidence in its line", [where])
        x, y, width, height = values[:4]
        return [x - width / 2, y - height / 2, x + width / 2, y + height / 2], int(label)


def format_yolo(data: DataSet) -> dict[str, str]:
    """Write the label files of a data set and its class names: text by file name."""
    stems = data_set.file_stems(data.images)
    texts = (format_labels(one.size_wh, one.boxes_xyxy, one.classes) for one in data.images)
    files = {f"{stem}.txt": text for stem, text in zip(stems, texts, strict=True)}
    class_file = NAMES_FILE if CLASS_FILE in files else CLASS_FILE
    return {class_file: "\n".join(data.class_names) + "\n", **files}


def format_labels(size_wh: tuple[int, int], boxes_xyxy: np.ndarray, classes: np.ndarray) -> str:
    """Return the text of the label file of an image, with boxes (N, 4) in its pixels."""
    low, high = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    fractions_xywh = np.hstack([(low + high) / 2, high - low]) / np.tile(size_wh, 2)  # (N, 4)
    lines = []
    for label, box in zip(classes, fractions_xywh, strict=True):
        lines.append(" ".join([str(label), *(f"{value:.{DIGITS}g}" for value in box)]) + "\n")
    return "".join(lines)
