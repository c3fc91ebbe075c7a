"""Matplotlib figures: one style, PNG files, no screen."""

from pathlib import Path

import numpy as np

from yolov3.files import atomic_write
from yolov3.text import default_font, in_font

# Okabe and Ito's colours, which people with colour-blindness tell apart as well.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, SKY, GOLD = "#CC79A7", "#56B4E9", "#E69F00"
INK, GREY, PALE = "#222222", "#8A8A8A", "#E4E4E4"
DPI = 150
LEGEND_COLUMNS = 3
NUMBERED = 20  # classes up to which the confusion matrix has numbers
STYLE = {
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",  # legible on GitHub's dark theme too
    "font.family": "DejaVu Sans",  # comes with matplotlib, so figures look alike everywhere
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.prop_cycle": f"cycler('color', {[BLUE, ORANGE, GREEN, PURPLE, SKY, GOLD]})",
    "grid.color": PALE,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 2,
    "legend.frameon": False,
}


def legible(text: str, otherwise: str) -> str:
    """Return a text as figures can show it, or else `otherwise` where no font here has its letters.

    Call it within `STYLE` and before the axes are made: it adds the fonts that the text needs.
    """
    from matplotlib import font_manager, ft2font, rcParams

    shaped = hasattr(ft2font, "__libraqm_version__")  # matplotlib joins letters since 3.11
    text, file = in_font(text, shaped) or (otherwise, default_font())
    family = font_manager.get_font(file).family_name
    if family not in rcParams["font.family"]:
        font_manager.fontManager.addfont(file)
        rcParams["font.family"] = [*rcParams["font.family"], family]
    return text


def save_figure(figure, path: str | Path, dpi: float | str = DPI) -> None:
    """Write a matplotlib figure as PNG; make the folder. The same figure gives the same bytes.

    `dpi` may be "figure", for its own. Raises ValueError for a name that does not end in .png,
    OSError where it cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path}: expected a name that ends in .png")
    with atomic_write(path, durable=False) as partial:  # no version of matplotlib inside
        figure.savefig(partial, dpi=dpi, format="png", metadata={"Software": None})


def map_figure(panels_of: dict[str, dict[str, list[tuple[float, float]]]], x_label: str):
    """Draw a panel for each of {title: {curve: [(x, mAP)]}}; return the figure.

    Call it within `STYLE`. All panels have the same curves and the same y axis.
    """
    from matplotlib.figure import Figure

    names = {name for curves in panels_of.values() for name in curves}
    labels = {name: legible(name, ascii(name)[1:-1]) for name in names}
    figure = Figure(figsize=(4.5 * len(panels_of), 3.5))
    panels = figure.subplots(1, len(panels_of), squeeze=False, sharey=True)[0]
    for axes, (title, curves) in zip(panels, panels_of.items(), strict=True):
        for name, points in curves.items():
            axes.plot(*zip(*points, strict=True), marker="o", markersize=4.5, label=labels[name])
        axes.set(title=title, xlabel=x_label, xlim=(0, None))
    yticks = [i / 5 for i in range(6)]
    panels[0].set(ylabel="mAP on the test images", ylim=(0, 1.02), yticks=yticks)
    handles = panels[0].get_legend_handles_labels()
    columns = min(len(handles[1]), LEGEND_COLUMNS)
    legend = figure.legend(*handles, loc="outside upper center", ncols=columns)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def confusion_figure(matrix, names):
    """Draw a confusion matrix (C + 1, C + 1), true classes down, detected ones across.

    Call it within `STYLE`.
    """
    from matplotlib.figure import Figure

    labels, side = [*names, "background"], np.clip(3 + 0.45 * len(names), 4.5, 13)
    figure = Figure(figsize=(side, side))
    axes = figure.subplots()
    axes.imshow(matrix, cmap="Blues", vmin=0, vmax=max(matrix.max(), 1e-9))
    axes.grid(False)
    font = {"fontsize": min(9, 400 / len(labels)), "parse_math": False}
    short = [label[:20] for label in labels]
    axes.set_xticks(range(len(labels)), short, rotation=90, **font)
    axes.set_yticks(range(len(labels)), short, **font)
    axes.set(xlabel="detected", ylabel="true")
    if len(names) <= NUMBERED:
        for (row, column), value in np.ndenumerate(matrix):
            colour = "white" if value > matrix.max() / 2 else INK
            text = f"{value:,}" if matrix.dtype == int else f"{value:.2f}".removeprefix("0")
            if value:
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    return figure


def confusion_image(matrix, class_names) -> np.ndarray:
    """Draw a confusion matrix as an RGB image uint8 (H, W, 3)."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with rc_context(STYLE):
        names = [legible(name, f"class {i}") for i, name in enumerate(class_names)]
        canvas = FigureCanvasAgg(confusion_figure(matrix, names))
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
