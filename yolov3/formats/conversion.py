"""Convert data sets from one annotation format to another: several into one, one into parts."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolov3.annotations import box_text, format_line, scan
from yolov3.class_names import case_twins, read_class_names
from yolov3.cli.run import InputErrors
from yolov3.files import check_outputs, read_bytes, write_files
from yolov3.formats import preparing
from yolov3.formats.coco import format_coco, read_coco
from yolov3.formats.common import ConversionLog
from yolov3.formats.data_set import DataSet, annotated_image
from yolov3.formats.voc import Corners, format_voc, read_voc, read_voc_parts
from yolov3.formats.yolo import YAML_SUFFIXES, format_yolo, read_data_yaml, read_yolo
from yolov3.text import counted, listed

FOLDER_FORMATS = ("voc", "yolo")
CLASSES_SHOWN = 20  # in the summary
SKIP_HINT = "--bad-files skip leaves out what is bad, with the images"


class Source(NamedTuple):
    """Annotations to read."""

    format: str  # annotations, voc, coco or yolo
    path: Path
    images: Path | None = None  # folder to look for images in; None for the usual ones
    names: Path | None = None  # names of the classes to keep, or of labels without names


class ConversionJob(NamedTuple):
    """What to convert, and how."""

    sources: list[Source]
    target: Path
    target_format: str
    renames: Mapping[str, str] = {}  # new names of classes by the old ones
    split: float | None = None  # the share of the boxes of each class to test on
    seed: int = 0  # of the split
    corners: Corners | None = None  # what those of VOC mean; None goes by the file
    bad_files: str = "error"  # or "skip"
    overwrite: bool = False


class Loaded(NamedTuple):
    """A data set that was read, with the names of the classes to keep."""

    data: DataSet
    name: str  # where it is from
    names: list[str] | None
    part: str = ""  # train, val or test of a data.yaml


def convert(job: ConversionJob) -> str:
    """Convert data sets and return a summary in words.

    Raises ValueError naming file, element and value for bad input, OSError for files that cannot
    be written. Nothing is written in either case.
    """
    log = ConversionLog()
    loaded = [one for source in job.sources for one in _read(source, job.corners, log)]
    _check_faults(log, loaded, job.bad_files)
    read = [f"read {_size(one.data)} from {one.name}" for one in loaded]
    parts = _divide(_prepare(loaded, job, log), job, log)
    texts: dict[Path, str] = {}
    written = []
    for part, data in parts.items():
        path = _part_path(job, part)
        texts |= _format(job, path, data)
        written.append(f"wrote {path}: {_size(data)}")
        names_path = _names_path(path)
        if names_path in texts:
            written.append(f"wrote {names_path}: {counted(len(data.class_names), 'class')}")
    inputs = [path for source in job.sources for path in source[1:] if path]
    inputs += [image.path for data in parts.values() for image in data.images]
    inputs += [path for one in loaded for path in one.data.sources]
    check_outputs(texts, inputs, job.overwrite)
    write_files(texts)
    return "\n".join([*read, *str(log).splitlines(), *_class_lines(parts), *written])


def _read(source: Source, corners: Corners | None, log: ConversionLog) -> list[Loaded]:
    """Read annotations. The names of the source are those of labels that have none of their own."""
    path, images = source.path, source.images
    names = read_class_names(source.names) if source.names else None
    if source.format == "yolo" and path.suffix.lower() in YAML_SUFFIXES:
        parts = read_data_yaml(path, images, log)
    elif source.format == "voc" and path.absolute().parts[-2:] == ("ImageSets", "Main"):
        parts = read_voc_parts(path, images, corners, log)
    elif source.format == "yolo":
        parts = {"": read_yolo(path, images, names, log)}
    elif source.format == "voc":
        parts = {"": read_voc(path, images, corners, log)}
    elif source.format == "coco":
        parts = {"": read_coco(path, images, log)}
    else:
        parts = {"": read_lines(path, names, log)}
    titles = {part: f"{path} ({part})" if part else str(path) for part in parts}
    return [Loaded(data, titles[part], names, part) for part, data in parts.items()]


def _check_faults(log: ConversionLog, loaded: list[Loaded], bad_files: str) -> None:
    """Raise ValueError with all faults of all files, or log them if they are to be skipped."""
    faults = log.faults
    are_all_bad = not (loaded and all(one.data.images for one in loaded))
    if faults and (bad_files == "error" or are_all_bad):
        hint = "" if are_all_bad else f" ({SKIP_HINT})"
        if len(faults) == 1:
            raise ValueError(f"{faults[0]}{hint}")
        title = f"{counted(len(faults), 'bad annotation')}{hint}:"
        raise InputErrors(title, *(f"  {fault}" for fault in faults))
    log.add("skipped", "bad annotation", "with the images", faults)


def _prepare(loaded: list[Loaded], job: ConversionJob, log: ConversionLog) -> list[Loaded]:
    """Return the data sets with the classes to keep, under their new names, fit to train on."""
    known = preparing.unite(one.data.class_names for one in loaded)
    unknown = [name for name in job.renames if name not in known]
    if unknown:
        raise ValueError(f"--rename: there is no class {unknown[0]!r}, but {', '.join(known)}")
    prepared = []
    for one in loaded:
        data = preparing.rename_classes(one.data, job.renames)
        labelled = {image.path for image in data.images if len(image.classes)}
        if one.names:
            names = [job.renames.get(name, name) for name in one.names]
            data = preparing.select_classes(data, preparing.unite([names]), log)
        data = preparing.clean(data, log)
        background = [image.path for image in data.images if not len(image.classes)]
        emptied = len(labelled.intersection(background))
        reason = "as background: --names leaves out all their classes"
        log.add("kept", "image", reason, [], emptied)
        log.add("kept", "image", "as background: they have no box", [], len(background) - emptied)
        prepared.append(one._replace(data=data))
    return prepared


def _divide(loaded: list[Loaded], job: ConversionJob, log: ConversionLog) -> dict[str, DataSet]:
    """Return the data sets to write by the names of their parts, numbered alike."""
    parts: dict[str, list[DataSet]] = {}
    for one in loaded:
        parts.setdefault("" if job.split else one.part, []).append(one.data)
    names = preparing.unite(one.data.class_names for one in loaded)
    if not names:
        raise ValueError(f"{loaded[0].name}: expected boxes with class names; received none")
    if "" in parts and len(parts) > 1:
        raise ValueError("only some inputs have parts; --split 0.2 divides all of them anew")
    merged = {part: preparing.merge(sets, names, log) for part, sets in parts.items()}
    if job.split:
        train, test = preparing.split(merged[""], job.split, job.seed)
        return {"train": train, "test": test}
    return merged


def _part_path(job: ConversionJob, part: str) -> Path:
    """Return where a part of the output goes: out_train.txt for out.txt, out/train for out."""
    if not part:
        return job.target
    if job.target_format in FOLDER_FORMATS:
        return job.target / part
    return job.target.with_name(f"{job.target.stem}_{part}{job.target.suffix}")


def _format(job: ConversionJob, path: Path, data: DataSet) -> dict[Path, str]:
    """Return the texts of one output by their paths."""
    if job.target_format in FOLDER_FORMATS:
        if path.is_file():
            raise ValueError(f"{path}: expected a folder; received a file")
        is_yolo = job.target_format == "yolo"
        texts = format_yolo(data) if is_yolo else format_voc(data, job.corners or Corners.PIXELS)
        return {path / name: text for name, text in texts.items()}
    if job.target_format == "coco":
        return {path: format_coco(data, path.absolute().parent, preparing.PIXEL_DECIMALS)}
    names_path = _names_path(path)
    if names_path == path:
        raise ValueError(f"{path}: expected another extension; class names get this one")
    lines = [format_line(one.path, one.boxes_xyxy, one.classes) + "\n" for one in data.images]
    names = "".join(f"{name}\n" for name in data.class_names)
    texts = {path: "".join(lines), names_path: names}
    if names_path.is_file() and names_path.read_bytes() == names.encode():
        del texts[names_path]  # perhaps an input
    return texts


def read_lines(path: Path, class_names: list[str] | None, log: ConversionLog) -> DataSet:
    """Read an annotation file; its bad lines are faults in the log.

    Raises ValueError for a file without a line, and without class names: those beside the file
    count before those that are given.
    """
    own, sources = _names_path(path), [str(path)]
    if own.is_file():
        class_names = read_class_names(own)
        sources.append(str(own))
    if class_names is None:
        raise ValueError(f"{path}: expected class names for its labels; give --names FILE")
    records, problems = scan(read_bytes(path), path, len(class_names))
    for problem in problems:
        log.bad(f"{path}:{problem.line}: {problem.message}")
    images = []
    for record in records:
        # The file's own decimals: as float64 the float32 nearest to 12.3 is 12.300000190734863.
        boxes = [[*map(float, box_text(box).split(","))] for box in record.boxes_xyxy]
        images.append(annotated_image(record.image_path, (0, 0), boxes, record.classes))
    return DataSet(images, class_names, sources)


def _names_path(path: Path) -> Path:
    return path.with_suffix(".names")


def _size(data: DataSet) -> str:
    return f"{counted(len(data.images), 'image')} and {counted(data.num_boxes, 'box')}"


def _class_lines(parts: dict[str, DataSet]) -> list[str]:
    """Say how many boxes of each class the parts have, the most frequent first."""
    names = next(iter(parts.values())).class_names
    counts = np.array([data.boxes_per_class for data in parts.values()])  # (parts, C)
    order = np.argsort(-counts.sum(axis=0), kind="stable")
    where = f", boxes in {' + '.join(parts)}" if len(parts) > 1 else ""
    numbers = [" + ".join(f"{count:,}" for count in column) for column in counts.T]
    shown = [f"{names[index]} {numbers[index]}" for index in order]
    lines = [f"{counted(len(order), 'class')}{where}: {listed(shown, CLASSES_SHOWN)}"]
    for twins in case_twins([names[index] for index in order]):
        flags = " ".join(f"--rename {shlex.quote(f'{name}={twins[0]}')}" for name in twins[1:])
        lines.append(f"{', '.join(twins)} differ only in case; {flags} makes them one class")
    return lines
