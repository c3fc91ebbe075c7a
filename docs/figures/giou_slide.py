"""Draw IoU, GIoU and their gradients while one box slides away from another.

python docs/figures/giou_slide.py
"""

from figure_script import run_figure_script
from yolov3.cli.run import import_tensorflow, run_script
from yolov3.plots import BLUE, GREY, INK, ORANGE, PALE

WIDTH, HEIGHT = 100, 30  # pixels, of both boxes
RAISED = 10  # pixels by which the sliding box is higher
SHOWN_AT = (45, 190)  # distances in pixels at which it is drawn
FARTHEST = 300  # pixels
PRINTED = (20, 80, 120, 250)  # distances in pixels


def slide(distances):
    """Return IoU, GIoU and the derivative of each by the distance, (N,), for distances (N,)."""
    import tensorflow as tf

    from yolov3.boxes import bbox_giou, bbox_iou

    x = tf.constant(distances, tf.float32)
    top = tf.fill(tf.shape(x), -float(RAISED))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        sliding_xyxy = tf.stack([x, top, x + WIDTH, top + HEIGHT], axis=-1)  # (N, 4)
        fixed_xyxy = tf.constant([[0.0, 0.0, WIDTH, HEIGHT]])
        iou, giou = bbox_iou(sliding_xyxy, fixed_xyxy), bbox_giou(sliding_xyxy, fixed_xyxy)
    slopes = [tape.gradient(value, x) for value in (iou, giou)]
    return [value.numpy() for value in (iou, giou, *slopes)]


def draw():
    """Draw the curves and print them at a few distances."""
    import numpy as np
    from matplotlib.figure import Figure

    import_tensorflow()
    for x, iou, giou, iou_slope, giou_slope in zip(PRINTED, *slide(np.array(PRINTED)), strict=True):
        print(
            f"distance {x:3}  IoU {iou:.3f}  GIoU {giou:6.3f}  "
            f"slope of IoU {iou_slope + 0.0:8.5f}  of GIoU {giou_slope:8.5f}"
        )
    x = np.arange(0.5, FARTHEST, 0.25)
    iou, giou, iou_slope, giou_slope = slide(x)
    figure = Figure(figsize=(8, 6.4))
    image, values, slopes = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": [0.85, 2.2, 1.6]}
    )
    _draw_boxes(image)
    values.plot(x, giou, color=BLUE, label="GIoU")
    values.plot(x, iou, color=ORANGE, label="IoU")
    values.set_ylabel("overlap")
    values.legend(loc="upper right")
    slopes.plot(x, -giou_slope, color=BLUE)
    slopes.plot(x, -iou_slope, color=ORANGE)
    slopes.set_ylabel("pull on the box\n(loss per pixel)")
    slopes.set_xlabel("distance of the boxes' left edges, pixels")
    for axes in (values, slopes):
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
        axes.axvline(WIDTH, color=GREY, linewidth=1, linestyle=":")
    values.text(WIDTH + 3, 0.42, "from here on they\ndo not touch", va="top", fontsize=9)
    slopes.text(WIDTH + 3, -0.0003, "IoU: no gradient", va="top", color=ORANGE, fontsize=9)
    slopes.set_ylim(bottom=-0.0016)
    slopes.set_xlim(0, FARTHEST)
    return figure


def _draw_boxes(axes):
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((0, 0), WIDTH, HEIGHT, facecolor=PALE, edgecolor=INK, lw=2))
    for left in SHOWN_AT:
        style = {"facecolor": BLUE + "33", "edgecolor": BLUE, "lw": 2}
        axes.add_patch(Rectangle((left, -RAISED), WIDTH, HEIGHT, **style))
    middle = HEIGHT / 2 - RAISED
    style = {"ha": "center", "va": "center", "fontsize": 9.5}
    axes.text((SHOWN_AT[0]) / 2, HEIGHT / 2, "true box", **style)
    axes.text(SHOWN_AT[0] + WIDTH - 22, middle, "predicted", color=BLUE, **style)
    axes.text(SHOWN_AT[1] + WIDTH / 2, middle, "predicted, later", color=BLUE, **style)
    arrow = {"arrowstyle": "->", "color": BLUE, "lw": 1.6}
    axes.annotate(
        "", (SHOWN_AT[1] - 4, middle), (SHOWN_AT[0] + WIDTH + 4, middle), arrowprops=arrow
    )
    axes.set_ylim(HEIGHT + 1, -RAISED - 1)
    axes.axis("off")


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
