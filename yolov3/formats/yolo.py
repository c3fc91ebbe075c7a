"""YOLO txt: a label file per image with lines `class x_centre y_centre width height`.

The four numbers are fractions of the image's width and height, so the images are needed. An image
and its label file have the same name but for the extension, in one folder or at the same place in
two. An image without a label file is background. `classes.txt` has the class names.

Lines of other models are read, too: detections with a confidence at the end, and the outlines of
segmentation, `class x y x y x y ...`, whose box is as large as they are.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from yolov3.class_names import read_class_names
from yolov3.formats.common import (
    ConversionLog,
    image_stems,
    parse_number,
    read_text,
    require,
    single_annotations,
)
from yolov3.formats.data_set import AnnotatedImage, DataSet, annotated_image
from yolov3.formats.image_lookup import ImageLookup, place_of

CLASS_STEM = "classes"  # names no label file
LABEL_SUFFIX = ".txt"
CLASS_FILE = CLASS_STEM + LABEL_SUFFIX
CLASS_FILES = (CLASS_FILE, "obj.names", "_darknet.labels", "data.yaml")
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
    files = log.search(folder, {LABEL_SUFFIX})
    labels = [path for path in files if path.name.lower() != CLASS_FILE]
    class_names = _class_names(folder, sorted(set(files) - set(labels)), class_names)
    lookup = ImageLookup(folder, images, log)
    read, sources, places, strays = [], [], set(), []
    for path in labels:
        place = place_of(path, folder)
        try:
            found = lookup.find(path.stem, str(path), place)
            if not found:
                strays.append(path)
                continue
            places.add(found.place)
            boxes_and_classes = read_labels(path, len(class_names), log)
        except ValueError as error:
            log.bad(error)
            continue
        read.append(annotated_image(found.path, (0, 0), *boxes_and_classes))
        sources.append(str(path))
        if found.place != place or Path(found.path).stem != path.stem:
            lookup.note(str(path), found)
    note_strays(strays, log, bool(places or log.faults), f"{folder}: {images or 'near it'}")
    read = single_annotations(read, sources, log) + _background(lookup, places, log)
    read.sort(key=lambda image: image.path)
    return DataSet(read, class_names, list(map(str, labels)) or [str(folder)], relative=True)


def _class_names(folder: Path, files: Iterable[Path], given: list[str] | None) -> list[str]:
    """Return the names in the class files of a data set.

    Those given are returned instead if there is no such file, or several that disagree, or if they
    are as many and all different: then they are other words for the classes.
    """
    above = folder.absolute().parents[:2]
    candidates = [parent / name for parent in (folder, *above) for name in CLASS_FILES]
    files = [*files] or [path for path in candidates if path.is_file()]
    lists = [read_class_names(path) for path in files]
    others = [path for path, names in zip(files, lists, strict=True) if names != lists[0]]
    if given and (
        others or all(len(one) == len(given) and set(one).isdisjoint(given) for one in lists)
    ):
        return given
    if not lists:
        raise ValueError(f"{folder}: expected class names in {CLASS_FILE}, or --names FILE")
    if others:
        raise ValueError(f"{others[0]}: other class names than in {files[0]}; give --names FILE")
    return lists[0]


def note_strays(strays: list[Path], log: ConversionLog, has_others: bool, where: str) -> None:
    """Log label files without an image, and text files that are something else."""
    without = [str(path) for path in strays if _has_labels(path)]
    if without and not has_others:
        raise ValueError(
            f"{where}: expected images named like the label files; there is none, "
            f"not for {without[0]!r} either; --images DIR says where they are"
        )
    others = [repr(str(path)) for path in strays if str(path) not in without]
    log.add("dropped", "label file", "without an image", list(map(repr, without)))
    log.add("skipped", "text file", "without labels", others)


def _has_labels(path: Path) -> bool:
    """Tell whether a text file has no lines, or begins with a class and four numbers or more."""
    try:
        lines = read_text(path).split("\n")
        fields = next((_fields(line) for line in lines if line.strip()), ["0"] * len(LINE.split()))
        return len([parse_number(field, "") for field in fields]) >= len(LINE.split())
    except ValueError:
        return False


def _background(lookup: ImageLookup, places: set, log: ConversionLog) -> list[AnnotatedImage]:
    """Return the images without a label file, in folders where others have one."""
    is_labelled = {path: not places or one.place in places for path, one in lookup.unused.items()}
    others = [repr(path) for path, is_one in is_labelled.items() if not is_one]
    log.add("skipped", "image", "in a folder without any label file", others)
    return [annotated_image(path, (0, 0), [], []) for path, is_one in is_labelled.items() if is_one]


def read_labels(path: Path, num_classes: int, log: ConversionLog) -> tuple[list, list]:
    """Return the boxes_xyxy of a label file, as fractions, and their classes."""
    boxes_xyxy, classes = [], []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            box, label = _read_label(line, num_classes, f"{path}:{number}", log)
            boxes_xyxy.append(box)
            classes.append(label)
    return boxes_xyxy, classes


def _fields(line: str) -> list[str]:
    """Split a line at white space, or at commas that are no decimal ones."""
    fields = [field.strip() for field in line.split(",")]
    is_list = len(fields) >= len(LINE.split()) and all(len(field.split()) == 1 for field in fields)
    return fields if is_list else line.split()


def _read_label(
    line: str, num_classes: int, where: str, log: ConversionLog
) -> tuple[list[float], int]:
    fields = _fields(line)
    require(len(fields) in (5, 6) or len(fields) >= 7 and len(fields) % 2, where, f"'{LINE}'", line)
    label, *values = (parse_number(field, where) for field in fields)
    is_class = label.is_integer() and 0 <= label < num_classes
    require(is_class, where, f"a class in [0, {num_classes - 1}]", fields[0])
    are_fractions = all(-TOLERANCE <= value <= 1 + TOLERANCE for value in values)
    require(are_fractions, where, "fractions of the image from 0 to 1", line)
    if len(values) > 5:
        log.add("read", "box", "as large as its outline", [where])
        xs, ys = values[::2], values[1::2]
        return [min(xs), min(ys), max(xs), max(ys)], int(label)
    if len(values) == 5:
        log.add("read", "box", "without the confidence in its line", [where])
    x, y, width, height = values[:4]
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2], int(label)


def format_yolo(data: DataSet) -> dict[str, str]:
    """Write the label files of a data set and `classes.txt`: text by file name."""
    stems = image_stems(data.images, reserved=CLASS_STEM)
    files = {
        f"{stem}.txt": "".join(format_labels(image))
        for stem, image in zip(stems, data.images, strict=True)
    }
    return {CLASS_FILE: "\n".join(data.class_names) + "\n", **files}


def format_labels(image: AnnotatedImage) -> list[str]:
    """Return the lines of an image's label file."""
    low, high = image.boxes_xyxy[:, :2], image.boxes_xyxy[:, 2:]
    fractions_xywh = np.hstack([(low + high) / 2, high - low]) / np.tile(image.size_wh, 2)  # (N, 4)
    return [
        " ".join([str(label), *(format(value, f".{DIGITS}g") for value in box)]) + "\n"
        for label, box in zip(image.classes, fractions_xywh, strict=True)
    ]
