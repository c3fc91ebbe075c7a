"""Convert a data set from one annotation format to another."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolov3.annotations import format_line, number_text, read_annotations
from yolov3.class_names import read_class_names
from yolov3.cli.progress import counted
from yolov3.files import check_outputs, write_files
from yolov3.formats.cleaning import PIXEL_DECIMALS, clean
from yolov3.formats.coco import format_coco, read_coco
from yolov3.formats.common import ConversionLog, select_classes
from yolov3.formats.data_set import DataSet, annotated_image
from yolov3.formats.voc import Corners, format_voc, read_voc
from yolov3.formats.yolo import format_yolo, read_yolo

CLASSES_SHOWN = 20  # in the summary


class ConversionJob(NamedTuple):
    """What to convert, and how."""

    source: Path
    source_format: str  # annotations, voc, coco or yolo
    target: Path
    target_format: str
    images: Path | None = None  # folder that image names start at, None for a fitting one
    names: Path | None = None  # class names file
    corners: Corners | None = None  # what those of VOC mean; None goes by the file
    trust_sizes: bool = False  # take the images' sizes from the annotations
    overwrite: bool = False


def convert(job: ConversionJob) -> str:
    """Convert a data set and return a summary in words.

    Raises ValueError naming file, element and value for bad input, OSError for files that cannot
    be written. Nothing is written in either case.
    """
    log = ConversionLog()
    data = _read(job, log)
    if log.faults:
        raise ValueError("\n".join(log.faults))
    read = f"read {_size(data)} from {job.source}"
    if not data.class_names:
        raise ValueError(f"{job.source}: expected boxes with class names; received none")
    data = clean(data, log, job.trust_sizes)
    background = sum(not len(image.classes) for image in data.images)
    log.add("kept", "image", "as background: they have no box", [], background)
    folder, texts = _format(job, data)
    inputs = [*data.sources, *(image.path for image in data.images), *filter(None, [job.names])]
    check_outputs([folder / name for name in texts], inputs, job.overwrite)
    write_files(folder, texts)
    lines = [read, *str(log).splitlines(), _class_line(data), f"wrote {job.target}: {_size(data)}"]
    if job.target_format == "annotations" and len(texts) > 1:
        lines += [f"wrote {_names_path(job)}: {counted(len(data.class_names), 'class')}"]
    return "\n".join(lines)


def _read(job: ConversionJob, log: ConversionLog) -> DataSet:
    names = read_class_names(job.names) if job.names else None
    source = job.source
    if job.source_format == "annotations":
        if names is None:
            raise ValueError(f"{source}: expected class names for its labels; give --names FILE")
        return read_lines(source, names)
    if job.source_format == "yolo":
        return read_yolo(source, job.images, names, log)
    if job.source_format == "voc":
        data = read_voc(source, job.images, job.corners, log)
    else:
        data = read_coco(source, job.images, log)
    return data if names is None else select_classes(data, names, log)


def _format(job: ConversionJob, data: DataSet) -> tuple[Path, dict[str, str]]:
    """Return the folder of the output and its texts by file name."""
    target = job.target
    if job.target_format in ("voc", "yolo") and target.is_file():
        raise ValueError(f"{target}: expected a folder; received a file")
    if job.target_format == "voc":
        return target, format_voc(data, job.corners or Corners.PIXELS)
    if job.target_format == "yolo":
        return target, format_yolo(data)
    if job.target_format == "coco":
        folder = target.absolute().parent
        return target.parent, {target.name: format_coco(data, folder, PIXEL_DECIMALS)}
    texts = {target.name: format_lines(data)}
    if job.names is None:
        if target == _names_path(job):
            raise ValueError(f"{target}: expected another extension; the class names get this one")
        texts[_names_path(job).name] = "\n".join(data.class_names) + "\n"
    return target.parent, texts


def read_lines(path: Path, class_names: list[str]) -> DataSet:
    """Read an annotation file. Raises ValueError naming file, line and value for a bad one."""
    images = []
    for record in read_annotations(path, len(class_names)):
        # The file's own decimals: as float64 the float32 nearest to 12.3 is 12.300000190734863.
        boxes = [[float(number_text(value)) for value in box] for box in record.boxes_xyxy]
        images.append(annotated_image(record.image_path, (0, 0), boxes, record.classes))
    return DataSet(images, class_names, [str(path)])


def format_lines(data: DataSet) -> str:
    """Write the annotation file of a data set, with absolute paths.

    Raises ValueError for a path that no annotation line can hold.
    """
    lines = [format_line(one.path, one.boxes_xyxy, one.classes) for one in data.images]
    return "\n".join(lines) + "\n"


def _names_path(job: ConversionJob) -> Path:
    return job.target.with_suffix(".names")


def _size(data: DataSet) -> str:
    return f"{counted(len(data.images), 'image')} and {counted(data.num_boxes, 'box')}"


def _class_line(data: DataSet) -> str:
    """Say how many boxes the classes have, the most frequent first."""
    counts = np.zeros(len(data.class_names), int)
    for image in data.images:
        np.add.at(counts, image.classes, 1)
    order = np.argsort(-counts, kind="stable")
    named = [f"{data.class_names[index]} {counts[index]:,}" for index in order[:CLASSES_SHOWN]]
    left = len(order) - len(named)
    more = f" and {left:,} more" if left else ""
    return f"{counted(len(order), 'class')}: {', '.join(named)}{more}"
