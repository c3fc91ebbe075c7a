"""Figures that show a data set: annotated images, statistics of its boxes, anchors."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from yolov3.data.statistics import Statistics
from yolov3.draw import draw_boxes
from yolov3.images import boxes_to_letterbox, letterbox, letterbox_params
from yolov3.plots import BLUE, GREY, ORANGE, STYLE, legible

TILE = 320  # pixels of an image on the sheet
DPI = 100
SHEET_COLUMNS = 4
CLASSES_SHOWN = 30
BINS = 31
SIZE_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # pixels
POINTS_SHOWN = 5000  # more would be one blot
NAME_LENGTH = 40  # characters of a file name that fit over its image


@rc_context(STYLE)
def contact_sheet(tiles: Sequence[tuple], class_names: Sequence[str]) -> Figure:
    """Draw tiles (title, image_rgb, boxes_xyxy, classes) in rows of four, all of one size."""
    titles = [legible(title, ascii(title)[1:-1])[-NAME_LENGTH:] for title, *_ in tiles]
    rows = math.ceil(len(tiles) / SHEET_COLUMNS)
    size = (SHEET_COLUMNS * TILE / DPI, rows * (TILE + 24) / DPI)
    figure = Figure(figsize=size, dpi=DPI)
    all_axes = list(figure.subplots(rows, SHEET_COLUMNS, squeeze=False).flat)
    for axes in all_axes:
        axes.axis("off")
    for axes, title, tile in zip(all_axes, titles, tiles, strict=False):
        _, image_rgb, boxes_xyxy, classes = tile
        fit = letterbox_params(image_rgb.shape[:2], (TILE, TILE))
        boxes_xyxy = boxes_to_letterbox(boxes_xyxy, fit)
        image_rgb = letterbox(image_rgb, (TILE, TILE))
        axes.imshow(draw_boxes(image_rgb, boxes_xyxy, classes, class_names))
        axes.set_title(title, fontsize=8, parse_math=False)
    return figure


@rc_context(STYLE)
def statistics_figure(sets: dict[str, Statistics], class_names: Sequence[str]) -> Figure:
    """Draw how many boxes there are of what class, size and place in one or two sets by name.

    The second set, if any, is the first one augmented.
    """
    class_names = [legible(name, f"class {index}") for index, name in enumerate(class_names)]
    figure = Figure(figsize=(4.5 * (1 + len(sets)), 8), dpi=DPI)
    axes = figure.subplots(2, 1 + len(sets))
    first = next(iter(sets.values()))
    _class_counts(axes[0, 0], first.classes, class_names)
    _boxes_per_image(axes[1, 0], first.boxes_per_image)
    for column, (name, statistics) in enumerate(sets.items(), start=1):
        _sizes(axes[0, column], statistics, name)
        _positions(axes[1, column], statistics, name)
    return figure


@rc_context(STYLE)
def anchor_figure(boxes_wh: np.ndarray, panels: Sequence[tuple]) -> Figure:
    """Draw a panel for each (title, current anchors (K, 2), new anchors (K, 2)), in pixels."""
    figure = Figure(figsize=(6 * len(panels), 6), dpi=DPI)
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, current_wh, new_wh) in zip(all_axes, panels, strict=True):
        axes.scatter(*_sample(boxes_wh).T, s=4, color=GREY, label="boxes", rasterized=True)
        axes.scatter(*np.transpose(current_wh), s=70, marker="x", color=ORANGE, label="current")
        axes.scatter(*np.transpose(new_wh), s=70, color=BLUE, edgecolor="white", label="new")
        axes.set(title=title)
        _size_axes(axes)
        axes.legend()
    return figure


def _class_counts(axes: Axes, classes: np.ndarray, class_names: Sequence[str]) -> None:
    counts = np.bincount(classes, minlength=len(class_names))
    order = np.argsort(-counts, kind="stable")[:CLASSES_SHOWN]
    places = np.arange(len(order))
    axes.barh(places, counts[order])
    names = [class_names[index][:20] for index in order]
    axes.set_yticks(places, names, fontsize=min(10, 200 / len(order)), parse_math=False)
    axes.invert_yaxis()
    shown = f", {len(order)} most frequent" if len(order) < len(class_names) else ""
    axes.set(title=f"boxes per class{shown}", xlabel="boxes")


def _boxes_per_image(axes: Axes, counts: np.ndarray) -> None:
    most = int(counts.max())
    axes.hist(counts, bins=np.linspace(-0.5, most + 0.5, min(most + 1, BINS) + 1))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(title="boxes per image", xlabel="boxes", ylabel="images")


def _sizes(axes: Axes, statistics: Statistics, name: str) -> None:
    axes.scatter(*_sample(statistics.boxes.sizes_wh).T, s=4, alpha=0.4)
    limits = (1, statistics.input_size)
    axes.set(title=f"sizes, {name}", xlim=limits, ylim=limits)
    _size_axes(axes)


def _size_axes(axes: Axes) -> None:
    """Make widths and heights in pixels legible, which are of all magnitudes."""
    axes.set(xlabel="width, pixels of the input", ylabel="height", aspect="equal")
    axes.set(xscale="log", yscale="log")
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        axis.set_ticks([tick for tick in SIZE_TICKS if limits[0] <= tick <= limits[1]])
        axis.set_ticks([], minor=True)
        axis.set_major_formatter("{x:g}")


def _sample(points: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permutation(points)[:POINTS_SHOWN]


def _positions(axes: Axes, statistics: Statistics, name: str) -> None:
    size = statistics.input_size
    limits = [[0, size], [0, size]]
    axes.hist2d(*statistics.boxes.centres.T, bins=BINS, range=limits, cmap="viridis")
    axes.set(title=f"centres, {name}", xlabel="x, pixels of the input", ylabel="y", aspect="equal")
    axes.invert_yaxis()
