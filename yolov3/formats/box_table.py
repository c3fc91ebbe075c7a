"""The images and boxes of a data set as columns, on their way from one format to another."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np


class AnnotatedImage(NamedTuple):
    """One image of a `BoxTable` with its boxes."""

    path: str  # absolute
    size_wh: tuple[int, int]  # pixels
    boxes_xyxy: np.ndarray  # (N, 4) float64, pixels
    classes: np.ndarray  # (N,) int


@dataclass(frozen=True)
class BoxTable:
    """R images and their M boxes; `image_index` ties them together, in ascending order."""

    image_paths: list[str]  # (R), absolute
    sizes_wh: np.ndarray  # (R, 2) int, pixels; 0 where the format does not tell
    image_index: np.ndarray  # (M,) int, index into image_paths
    boxes_xyxy: np.ndarray  # (M, 4) float64, pixels; fractions of width and height if `relative`
    classes: np.ndarray  # (M,) int, index into class_names
    class_names: list[str]
    sources: list[str]  # the annotation files that were read
    relative: bool = False

    def keep_boxes(self, keep: np.ndarray) -> "BoxTable":
        """Return the table with the boxes of a mask (M,) only; all images stay."""
        return replace(
            self,
            image_index=self.image_index[keep],
            boxes_xyxy=self.boxes_xyxy[keep],
            classes=self.classes[keep],
        )

    def keep_images(self, keep: np.ndarray) -> "BoxTable":
        """Return the table with the images of a mask (R,) only, and their boxes."""
        table = self.keep_boxes(keep[self.image_index])
        return replace(
            table,
            image_paths=[path for path, kept in zip(self.image_paths, keep, strict=True) if kept],
            sizes_wh=self.sizes_wh[keep],
            image_index=(np.cumsum(keep) - 1)[table.image_index],
        )

    def images(self) -> Iterator[AnnotatedImage]:
        """Yield the images in order."""
        ends = np.searchsorted(self.image_index, np.arange(len(self.image_paths) + 1))
        for index, (path, size_wh) in enumerate(
            zip(self.image_paths, self.sizes_wh.tolist(), strict=True)
        ):
            own = slice(ends[index], ends[index + 1])
            yield AnnotatedImage(path, tuple(size_wh), self.boxes_xyxy[own], self.classes[own])


def make_table(
    rows: list[tuple[str, tuple[int, int], list, list]],
    class_names: list[str],
    sources: list[str],
    relative: bool = False,
) -> BoxTable:
    """Build a table from one (path, size_wh, boxes_xyxy, classes) for each image."""
    return BoxTable(
        image_paths=[path for path, *_ in rows],
        sizes_wh=np.array([size_wh for _, size_wh, *_ in rows], int).reshape(-1, 2),
        image_index=np.repeat(np.arange(len(rows)), [len(classes) for *_, classes in rows]),
        boxes_xyxy=np.array([box for row in rows for box in row[2]], float).reshape(-1, 4),
        classes=np.array([label for row in rows for label in row[3]], int),
        class_names=class_names,
        sources=sources,
        relative=relative,
    )
