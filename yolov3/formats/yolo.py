"""YOLO txt: a label file per image with lines `class x_centre y_centre width height`.

The four numbers are fractions of the image's width and height, so the images are needed. An image
and its label file have the same name but for the extension, in one folder or at the same place in
two. An image without a label file is background. `classes.txt` has the class names.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from yolov3.class_names import read_class_names
from yolov3.formats.common import ConversionLog, image_stems, parse_number, read_text, require
from yolov3.formats.data_set import AnnotatedImage, DataSet, annotated_image
from yolov3.images import IMAGE_SUFFIXES

CLASS_STEM = "classes"  # names no label file
LABEL_SUFFIX = ".txt"
CLASS_FILE = CLASS_STEM + LABEL_SUFFIX
LINE = "class x_centre y_centre width height"
TOLERANCE = 0.01  # over 0 and 1, from rounding; larger numbers are pixels or something else
DIGITS = 12  # significant ones that are written: a hundred-millionth of a pixel


def read_yolo(
    folder: Path, images: Path | None, class_names: list[str] | None, log: ConversionLog
) -> DataSet:
    """Read the label files below a folder as a `DataSet` of relative boxes.

    Raises ValueError naming file, line and value for what cannot be read, and where label files are
    named like images, but all in other folders.
    """
    image_folder = images or folder
    labels = _find_files(folder, {LABEL_SUFFIX}, "label file", "image")
    if class_names is None:
        if not (folder / CLASS_FILE).is_file():
            raise ValueError(f"{folder}: expected class names in {CLASS_FILE}, or --names FILE")
        class_names = read_class_names(folder / CLASS_FILE)
    images = _find_files(image_folder, IMAGE_SUFFIXES, "image", "label file")
    labels.pop(Path(CLASS_STEM), None)
    without = [repr(str(path)) for stem, path in labels.items() if stem not in images]
    is_elsewhere = {stem.name for stem in labels} & {stem.name for stem in images}
    if is_elsewhere and len(without) == len(labels):
        raise ValueError(
            f"{folder}: expected label files named like the images in {image_folder}; received "
            f"none, but {without[0]}; give --images DIR, as images/train for labels/train"
        )
    log.add("dropped", "label file", "without an image", without)
    annotated = []
    for stem, path in images.items():
        known = stem in labels
        boxes, classes = _read_labels(labels[stem], len(class_names)) if known else ([], [])
        annotated.append(annotated_image(path.absolute(), (0, 0), boxes, classes))
    sources = [str(path) for path in labels.values()] or [str(folder)]
    return DataSet(annotated, class_names, sources, relative=True)


def format_yolo(data: DataSet) -> dict[str, str]:
    """Write the label files of a data set and `classes.txt`: text by file name."""
    stems = image_stems(data.images, reserved=CLASS_STEM)
    files = {
        f"{stem}.txt": "".join(format_labels(image))
        for stem, image in zip(stems, data.images, strict=True)
    }
    return {CLASS_FILE: "\n".join(data.class_names) + "\n", **files}


def _find_files(folder: Path, suffixes: Collection[str], kind: str, other: str) -> dict[Path, Path]:
    """Return the files below a folder by their relative path without extension, in any case.

    Hidden ones are left out, as `detect.py` does, which may have written the labels.
    Raises ValueError for no folder, and where two of a `kind` would belong to one of the `other`.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder of {kind}s")
    found: dict[Path, Path] = {}
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in below.parts)
        if path.suffix.lower() in suffixes and not is_hidden:
            stem = below.with_suffix("")
            if stem in found:
                raise ValueError(f"{path}: a second {kind} for one {other}, after {found[stem]}")
            found[stem] = path
    return found


def _read_labels(path: Path, num_classes: int) -> tuple[list, list]:
    """Return the boxes_xyxy of a label file, as fractions, and their classes."""
    boxes_xyxy, classes = [], []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            box, label = _read_label(line, num_classes, f"{path}:{number}")
            boxes_xyxy.append(box)
            classes.append(label)
    return boxes_xyxy, classes


def _read_label(line: str, num_classes: int, where: str) -> tuple[list[float], int]:
    fields = line.split()
    require(len(fields) == 5, where, f"'{LINE}'", line)
    label, x, y, width, height = (parse_number(field, where) for field in fields)
    is_class = label.is_integer() and 0 <= label < num_classes
    require(is_class, where, f"a class in [0, {num_classes - 1}]", fields[0])
    are_fractions = all(-TOLERANCE <= v <= 1 + TOLERANCE for v in (x, y, width, height))
    require(are_fractions, where, "fractions of the image from 0 to 1", line)
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2], int(label)


def format_labels(image: AnnotatedImage) -> list[str]:
    """Return the lines of an image's label file."""
    low, high = image.boxes_xyxy[:, :2], image.boxes_xyxy[:, 2:]
    fractions_xywh = np.hstack([(low + high) / 2, high - low]) / np.tile(image.size_wh, 2)  # (N, 4)
    return [
        " ".join([str(label), *(format(value, f".{DIGITS}g") for value in box)]) + "\n"
        for label, box in zip(image.classes, fractions_xywh, strict=True)
    ]
