"""Draw pairs of boxes that show what IoU, GIoU and the distance of corners tell.

python docs/figures/giou_pairs.py
"""

from figure_script import run_figure_script
from yolov3.cli.run import import_tensorflow, run_script
from yolov3.plots import BLUE, INK, ORANGE

HALF_DIAGONAL = 100 * (1 - 0.5**0.5)  # shifted by it both ways, a 100 px square keeps IoU 1/3
# Title of a row -> pairs (what it is, true box, predicted box), xyxy in pixels
ROWS = {
    "The distance of the corners is the same (L2: 60 pixels)": [
        ("too small", (0, 0, 100, 100), (30, 30, 70, 70)),
        ("shifted", (0, 0, 100, 100), (30, 30, 130, 130)),
        ("too large", (0, 0, 100, 100), (-30, -30, 130, 130)),
    ],
    "No overlap, so IoU is the same": [
        ("near", (0, 0, 100, 100), (120, 0, 220, 100)),
        ("farther", (0, 0, 100, 100), (180, 0, 280, 100)),
        ("far", (0, 0, 100, 100), (300, 0, 400, 100)),
    ],
    "IoU is the same, one third": [
        ("aligned", (0, 0, 100, 100), (50, 0, 150, 100)),
        ("diagonal", (0, 0, 100, 100), (HALF_DIAGONAL, HALF_DIAGONAL) + (100 + HALF_DIAGONAL,) * 2),
        ("crossed", (0, 25, 100, 75), (25, 0, 75, 100)),
        ("aligned, tilted", (0, 0, 100, 100), (50, 0, 150, 100)),
    ],
}
TILT = 22.5  # degrees by which the pair called tilted is turned


def measure(true_xyxy, predicted_xyxy) -> dict[str, float]:
    """Return the L1 and L2 distance of two boxes (4,) as vectors, in pixels, their IoU and GIoU."""
    import tensorflow as tf

    from yolov3.boxes import bbox_giou, bbox_iou

    true, predicted = tf.constant(true_xyxy, tf.float32), tf.constant(predicted_xyxy, tf.float32)
    return {
        "L1": float(tf.reduce_sum(tf.abs(true - predicted))),
        "L2": float(tf.norm(true - predicted)),
        "IoU": float(bbox_iou(true, predicted)),
        "GIoU": float(bbox_giou(true, predicted)),
    }


def measure_tilted(true_xyxy, predicted_xyxy) -> dict[str, float]:
    """Return the IoU and GIoU of a pair turned by `TILT`, with an upright box around both.

    Turning keeps the areas of intersection and union, and so the IoU; only the box around grows.
    """
    import numpy as np

    def area(box):
        return (box[2] - box[0]) * (box[3] - box[1])

    iou = measure(true_xyxy, predicted_xyxy)["IoU"]
    union = (area(true_xyxy) + area(predicted_xyxy)) / (1 + iou)
    corners = np.concatenate([_corners(box, TILT) for box in (true_xyxy, predicted_xyxy)])
    around = area((*corners.min(axis=0), *corners.max(axis=0)))
    return {"IoU": iou, "GIoU": iou - (around - union) / around}


def draw():
    """Draw the rows of pairs and print their numbers."""
    from matplotlib.figure import Figure

    import_tensorflow()
    figure = Figure(figsize=(9.6, 8.2))
    parts = figure.subfigures(len(ROWS), 1, height_ratios=(1.15, 0.75, 1.3))
    for part, (title, pairs) in zip(parts, ROWS.items(), strict=True):
        part.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=11)
        all_axes = part.subplots(1, len(pairs))
        for axes, (name, *boxes) in zip(all_axes, pairs, strict=True):
            tilt = TILT if "tilted" in name else 0
            numbers = measure_tilted(*boxes) if tilt else measure(*boxes)
            distances = [f"{key} {numbers[key]:4.0f}" for key in ("L1", "L2") if key in numbers]
            overlaps = [f"IoU {numbers['IoU']:.3f}", f"GIoU {numbers['GIoU']:6.3f}"]
            print("  ".join([f"{name:9}", *distances, *overlaps]))
            _draw_pair(axes, *boxes, tilt)
            text = f"{name}\nIoU {numbers['IoU']:.2f}   GIoU {numbers['GIoU']:.2f}"
            axes.set_title(text.replace("-", "\N{MINUS SIGN}"))
        _same_scale(all_axes)
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _corners(box_xyxy, tilt):
    """Return the corners (4, 2) of a box turned by `tilt` degrees around the origin."""
    import numpy as np

    left, top, right, bottom = box_xyxy
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    cos, sin = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    return corners @ np.array([(cos, sin), (-sin, cos)])


def _draw_pair(axes, true_xyxy, predicted_xyxy, tilt):
    """Draw two boxes and the smallest upright one around both."""
    import numpy as np
    from matplotlib.patches import Polygon

    true, predicted = (_corners(box, tilt) for box in (true_xyxy, predicted_xyxy))
    both = np.concatenate([true, predicted])
    around = _corners((*both.min(axis=0), *both.max(axis=0)), 0)
    for name, corners, style in (
        ("true box", true, {"facecolor": INK + "22", "edgecolor": INK, "linewidth": 2}),
        ("predicted box", predicted, {"facecolor": BLUE + "44", "edgecolor": BLUE, "lw": 2}),
        ("smallest box around both", around, {"fill": False, "edgecolor": ORANGE, "ls": "--"}),
    ):
        axes.add_patch(Polygon(corners, label=name, **style))
    axes.set_aspect("equal")
    axes.axis("off")
    axes.autoscale_view()
    axes.invert_yaxis()  # points down, as in images


def _same_scale(all_axes):
    """Give all axes of a row limits of the same extent, in pixels, around their own centre."""
    limits = [(axes.get_xlim(), axes.get_ylim()) for axes in all_axes]
    half_x, half_y = (max(abs(pair[i][1] - pair[i][0]) for pair in limits) / 2 for i in (0, 1))
    for axes, (x, y) in zip(all_axes, limits, strict=True):
        axes.set_xlim(sum(x) / 2 - half_x, sum(x) / 2 + half_x)
        axes.set_ylim(sum(y) / 2 + half_y, sum(y) / 2 - half_y)


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
