"""A data set on its way from one format to another: annotated images and class names."""

import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolov3.formats.common import ConversionLog


class AnnotatedImage(NamedTuple):
    """One image with its boxes."""

    path: str  # absolute
    size_wh: tuple[int, int]  # pixels; 0 where the format does not tell
    boxes_xyxy: np.ndarray  # (N, 4) float64, pixels; fractions of width and height if `relative`
    classes: np.ndarray  # (N,) int, index into the class names


@dataclass(frozen=True)
class DataSet:
    """The images that annotation files describe."""

    images: list[AnnotatedImage]
    class_names: list[str]
    sources: list[str]  # the annotation files that were read
    relative: bool = False

    @property
    def num_boxes(self) -> int:
        """The number of boxes of all images."""
        return sum(len(image.classes) for image in self.images)

    @property
    def boxes_per_class(self) -> np.ndarray:
        """The number of boxes of each class (C,)."""
        classes = np.concatenate([np.zeros(0, int), *(image.classes for image in self.images)])
        return np.bincount(classes, minlength=len(self.class_names))


def annotated_image(path, size_wh, boxes_xyxy: list, classes: list[int]) -> AnnotatedImage:
    """Return an image with boxes, [xmin, ymin, xmax, ymax] each, and classes given as lists."""
    boxes_xyxy = np.array(boxes_xyxy, float).reshape(-1, 4)
    return AnnotatedImage(str(path), tuple(size_wh), boxes_xyxy, np.array(classes, int))


def single_annotations(
    images: list[AnnotatedImage], sources: list[str], log: ConversionLog
) -> list[AnnotatedImage]:
    """Return the images that one source annotates, or several alike; the others are faults."""
    groups: dict[str, list[tuple]] = defaultdict(list)
    for image, source in zip(images, sources, strict=True):
        rows = sorted(np.c_[image.boxes_xyxy, image.classes].tolist())
        groups[image.path].append((image, rows, source))
    kept = []
    for path, [(image, rows, source), *others] in groups.items():
        otherwise = [other for _, its_rows, other in others if its_rows != rows]
        if otherwise:
            log.bad(f"{otherwise[0]}: the image is {path!r}, which {source} annotates otherwise")
        else:
            kept.append(image)
            reason = "of an image that another one annotates alike"
            log.add("skipped", "annotation", reason, [other for *_, other in others])
    return kept


def file_stems(images: list[AnnotatedImage]) -> list[str]:
    """Return the names of annotation files, without extension: those of their images.

    Images of one name keep their folders, those below the folder of all. Raises ValueError for two
    that differ in their extension alone.
    """
    paths = [Path(image.path).with_suffix("") for image in images]
    count = Counter(path.name for path in paths)
    top = os.path.commonpath([path.parent for path in paths])
    first: dict[str, str] = {}
    for image, path in zip(images, paths, strict=True):
        stem = path.name if count[path.name] == 1 else str(path.relative_to(top))
        other = first.setdefault(stem, image.path)
        if other != image.path:
            what = f"received {stem!r}, which is that of {other}"
            raise ValueError(f"{image.path}: expected a name of its own for its file; {what}")
    return list(first)
