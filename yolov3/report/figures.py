"""The figures of a report: curves, confusion, errors, calibration."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from yolov3.evaluation import Evaluation
from yolov3.metrics import SCORES, mean_over_classes, precision_curves
from yolov3.plots import BLUE, GREY, INK, ORANGE, STYLE, confusion_figure, legible
from yolov3.report.errors import BINS, KINDS, LEAST_SCORE, Errors, at_50

NAMED = 10  # classes that get a line with their name; of more only the mean has one


@rc_context(STYLE)
def draw_figures(evaluation: Evaluation, errors: Errors) -> dict[str, Figure]:
    """Draw all figures of an evaluation and its `Errors`, by the names of their files."""
    names = [legible(name, f"class {i}") for i, name in enumerate(evaluation.class_names)]
    precision_at_recall = precision_curves(at_50(evaluation.matches))[0, 0].T  # (C, 101)
    recalls = np.linspace(0, 1, precision_at_recall.shape[1])
    figures = {"PR_curve": _curves(recalls, precision_at_recall, names, "recall", "precision")}
    titles = {"P": "precision", "R": "recall", "F1": "F1"}
    for (short, title), curves in zip(titles.items(), evaluation.curves, strict=True):
        figure = _curves(SCORES, curves, names, "score threshold", title)
        figure.axes[0].axvline(evaluation.threshold, color=INK, linewidth=1, linestyle=":")
        figures[f"{short}_curve"] = figure
    figures["errors"] = _costs(errors)
    figures["confusion_matrix"] = confusion_figure(errors.confusion, names)
    shares = errors.confusion / np.maximum(errors.confusion.sum(axis=1, keepdims=True), 1)
    figures["confusion_matrix_normalized"] = confusion_figure(shares, names)
    return figures | {"calibration": _calibration(errors.bins)}


def _curves(x, curves, names, xlabel, ylabel):
    """Draw a curve (N,) of each class with ground truth, and their mean in front of them."""
    figure = Figure(figsize=(6, 4.5))
    axes = figure.subplots()
    is_named = len(names) <= NAMED
    style = {"linewidth": 1.2} if is_named else {"linewidth": 0.6, "color": GREY, "alpha": 0.5}
    dashes = ("-", "--") if is_named else ("-",)  # there are six colours
    lines = [
        axes.plot(x, curve, dashes[index // 6 % len(dashes)], **style)[0]
        for index, curve in enumerate(curves)
    ]
    lines = lines if is_named else lines[:1]
    lines += axes.plot(x, mean_over_classes(curves), color=INK, linewidth=3)
    labels = [*(names if is_named else ["a class"]), "all classes"]
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(0, 1), ylim=(0, 1.02))
    legend = figure.legend(lines, ["x"] * len(lines), loc="outside right upper", fontsize=9)
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set(text=label[:20], parse_math=False)  # a name may begin with _ or hold a $
    return figure


def _costs(errors):
    figure = Figure(figsize=(6, 3))
    axes = figure.subplots()
    costs = np.nan_to_num([errors.costs[kind] for kind in KINDS])  # NaN: there is no object
    counts = errors.by_image.sum(axis=0)
    bars = axes.barh(KINDS, costs, color=ORANGE)
    axes.bar_label(bars, [f" {n:,}" for n in counts], fontsize=9)
    axes.invert_yaxis()
    axes.set(xlabel="mAP50 that it costs (beside: how many above the threshold)")
    axes.set_xlim(0, 1.2 * max([*costs, 0.01]))
    return figure


def _calibration(bins):
    figure = Figure(figsize=(6, 4.5))
    axes = figure.subplots()
    used = np.flatnonzero(bins[:, 0])
    colours = [BLUE if i >= LEAST_SCORE else GREY for i in used]
    bars = axes.bar(BINS[used] + 0.05, bins[used, 2], 0.09, color=colours)
    axes.bar_label(bars, [f"{n:,.0f}" for n in bins[used, 0]], fontsize=8)
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--")
    axes.set(xlabel="score", ylabel="share that is right (precision)")
    axes.set(xlim=(0, 1), ylim=(0, 1.06))
    return figure
