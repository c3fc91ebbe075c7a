"""Draw pairs of boxes that show what IoU, GIoU and the distance of corners tell.

python docs/figures/giou_pairs.py
"""

from yolov3.cli.run import import_tensorflow, run_script
from yolov3.plots import BLUE, INK, ORANGE, run_figure_script

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
    ],
}


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


def draw():
    """Draw the rows of pairs and print their numbers."""
    from matplotlib.figure import Figure

    import_tensorflow()
    figure = Figure(figsize=(9, 7.6))
    parts = figure.subfigures(len(ROWS), 1, height_ratios=(1.15, 0.8, 1.15))
    for part, (title, pairs) in zip(parts, ROWS.items(), strict=True):
        part.suptitle(title, x=0.012, ha="left", fontweight="bold", fontsize=11)
        frames = [_around(*boxes) for _, *boxes in pairs]
        frame_wh = [max(frame[i + 2] - frame[i] for frame in frames) * 1.04 for i in (0, 1)]
        all_axes = part.subplots(1, len(pairs))
        for axes, (name, true_xyxy, predicted_xyxy) in zip(all_axes, pairs, strict=True):
            numbers = measure(true_xyxy, predicted_xyxy)
            print(
                f"{name:9}  L1 {numbers['L1']:4.0f}  L2 {numbers['L2']:4.0f}  "
                f"IoU {numbers['IoU']:.3f}  GIoU {numbers['GIoU']:6.3f}"
            )
            _draw_pair(axes, true_xyxy, predicted_xyxy, frame_wh)
            text = f"{name}\nIoU {numbers['IoU']:.2f}   GIoU {numbers['GIoU']:.2f}"
            axes.set_title(text.replace("-", "\N{MINUS SIGN}"))
    legend = all_axes[0].get_legend_handles_labels()
    figure.legend(*legend, loc="outside lower center", ncols=3)
    return figure


def _around(true_xyxy, predicted_xyxy) -> tuple[float, ...]:
    """Return the smallest box around two, xyxy."""
    edges = list(zip(true_xyxy, predicted_xyxy, strict=True))
    return tuple(map(min, edges[:2])) + tuple(map(max, edges[2:]))


def _draw_pair(axes, true_xyxy, predicted_xyxy, frame_wh):
    """Draw two boxes and the smallest one around both, in the middle of a frame in pixels."""
    from matplotlib.patches import Rectangle

    around = _around(true_xyxy, predicted_xyxy)
    for name, box, style in (
        ("true box", true_xyxy, {"facecolor": INK + "22", "edgecolor": INK, "linewidth": 2}),
        ("predicted box", predicted_xyxy, {"facecolor": BLUE + "44", "edgecolor": BLUE, "lw": 2}),
        ("smallest box around both", around, {"fill": False, "edgecolor": ORANGE, "ls": "--"}),
    ):
        axes.add_patch(Rectangle(box[:2], box[2] - box[0], box[3] - box[1], label=name, **style))
    axes.set_aspect("equal")
    axes.axis("off")
    x, y = (around[0] + around[2]) / 2, (around[1] + around[3]) / 2
    axes.set_xlim(x - frame_wh[0] / 2, x + frame_wh[0] / 2)
    axes.set_ylim(y + frame_wh[1] / 2, y - frame_wh[1] / 2)  # points down, as in images


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
