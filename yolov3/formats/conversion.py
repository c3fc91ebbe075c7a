"""Convert a data set from one annotation format to another."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolov3.annotations import read_class_names
from yolov3.files import check_outputs, write_files
from yolov3.formats.box_table import BoxTable
from yolov3.formats.class_names import select_classes
from yolov3.formats.cleaning import PIXEL_DECIMALS, clean
from yolov3.formats.coco import format_coco, read_coco
from yolov3.formats.lines import format_lines, read_lines
from yolov3.formats.notes import Notes, counted
from yolov3.formats.voc import Corners, format_voc, read_voc
from yolov3.formats.yolo import format_yolo, read_yolo

CLASSES_SHOWN = 20  # in the summary


class Task(NamedTuple):
    """What to convert, and how."""

    source: Path
    source_format: str  # annotations, voc, coco or yolo
    target: Path
    target_format: str
    images: Path | None = None  # folder that image names start at, None for a fitting one
    classes: Path | None = None  # class names file
    corners: Corners = Corners.PIXELS  # what those of VOC mean
    trust_sizes: bool = False  # take the images' sizes from the annotations
    overwrite: bool = False


def convert(task: Task) -> str:
    """Convert a data set and return a summary in words.

    Raises ValueError naming file, element and value for bad input, OSError for files that cannot
    be written. Nothing is written in either case.
    """
    notes = Notes()
    table = _read(task, notes)
    read = f"read {counted(len(table.image_paths), 'image')}"
    read += f" and {counted(len(table.classes), 'box')} from {task.source}"
    if not table.class_names:
        raise ValueError(f"{task.source}: expected boxes with class names; received none")
    table = clean(table, notes, task.trust_sizes)
    background = len(table.image_paths) - len(np.unique(table.owner))
    notes.add("kept", "image", "as background: they have no box", [], background)
    folder, texts = _format(task, table)
    inputs = [*table.sources, *table.image_paths, *([task.classes] if task.classes else [])]
    check_outputs([folder / name for name in texts], inputs, task.overwrite)
    write_files(folder, texts)
    lines = [read, *str(notes).splitlines(), _class_line(table)]
    written = f"{counted(len(table.image_paths), 'image')}, {counted(len(table.classes), 'box')}"
    lines += [f"wrote {task.target}: {written}"]
    if task.target_format == "annotations" and len(texts) > 1:
        lines += [f"wrote {_names_path(task)}: {counted(len(table.class_names), 'class')}"]
    return "\n".join(lines)


def _read(task: Task, notes: Notes) -> BoxTable:
    wanted = read_class_names(task.classes) if task.classes else None
    source = task.source
    images = task.images or (source if source.is_dir() else source.parent)
    if task.source_format == "annotations":
        if wanted is None:
            raise ValueError(f"{source}: expected class names for its labels; give --classes FILE")
        return read_lines(source, wanted)
    if task.source_format == "yolo":
        return read_yolo(source, images, wanted, notes)
    if task.source_format == "voc":
        table = read_voc(source, images, task.corners, notes)
    else:
        table = read_coco(source, images, notes)
    return table if wanted is None else select_classes(table, wanted, notes)


def _format(task: Task, table: BoxTable) -> tuple[Path, dict[str, str]]:
    """Return the folder of the output and its texts by file name."""
    target = task.target
    if task.target_format == "voc":
        return target, format_voc(table, task.corners)
    if task.target_format == "yolo":
        return target, format_yolo(table)
    if task.target_format == "coco":
        folder = target.absolute().parent
        return target.parent, {target.name: format_coco(table, folder, PIXEL_DECIMALS)}
    texts = {target.name: format_lines(table)}
    if task.classes is None:
        if target == _names_path(task):
            raise ValueError(f"{target}: expected another ending; class names get this one")
        texts[_names_path(task).name] = "\n".join(table.class_names) + "\n"
    return target.parent, texts


def _names_path(task: Task) -> Path:
    return task.target.with_suffix(".names")


def _class_line(table: BoxTable) -> str:
    """Say how many boxes the classes have, the most frequent first."""
    counts = np.bincount(table.classes, minlength=len(table.class_names))
    order = np.argsort(-counts, kind="stable")
    named = [f"{table.class_names[index]} {counts[index]:,}" for index in order[:CLASSES_SHOWN]]
    left = len(order) - len(named)
    more = f" and {left:,} more" if left else ""
    return f"{counted(len(order), 'class')}: {', '.join(named)}{more}"
