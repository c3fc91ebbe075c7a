"""Draw the sizes of boxes and the anchors that stand for them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

POINTS_SHOWN = 5000  # more would be one blot
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # pixels


def anchor_figure(boxes_wh: np.ndarray, panels: Sequence[tuple]) -> Figure:
    """Draw a panel for each (title, current anchors (K, 2), new anchors (K, 2)), in pixels."""
    figure = Figure(figsize=(6 * len(panels), 6), layout="constrained")
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    shown = np.random.default_rng(0).permutation(boxes_wh)[:POINTS_SHOWN]
    for axes, (title, current_wh, new_wh) in zip(all_axes, panels, strict=True):
        axes.scatter(*shown.T, s=4, color="0.7", label="boxes", rasterized=True)
        axes.scatter(*np.transpose(current_wh), s=70, marker="x", color="C3", label="current")
        axes.scatter(*np.transpose(new_wh), s=70, color="C0", edgecolor="white", label="new")
        axes.set(title=title, xlabel="width, pixels of the input", ylabel="height", aspect="equal")
        axes.set(xscale="log", yscale="log")
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            axis.set_ticks([tick for tick in TICKS if limits[0] <= tick <= limits[1]])
            axis.set_ticks([], minor=True)
            axis.set_major_formatter("{x:g}")
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
