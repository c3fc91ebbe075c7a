"""Draw how `decode` turns the raw numbers of a prediction into a box.

python docs/figures/decode.py
"""

from figure_script import run_figure_script
from yolov3.cli.run import import_tensorflow, run_script
from yolov3.configs import Config
from yolov3.plots import BLUE, GREY, INK, ORANGE, PALE

CONFIG = Config()
SIZE = CONFIG.train_input_size
CLASSES = 10
SCALE = 2  # the coarsest
CELL = (5, 6)  # column, row
ANCHOR = 0  # of the three of this scale
RAW = (0.8, -0.4, 0.3, 0.5, 2.0)  # t_x, t_y, t_w, t_h, confidence logit
SHOWN = (64, 96, 320, 320)  # the cut of the image that is drawn, xyxy


def decode_prediction(raw):
    """Return x_centre, y_centre, width, height in pixels and the confidence of raw numbers (5,)."""
    import numpy as np

    from yolov3.yolov3 import decode

    stride = CONFIG.strides[SCALE]
    anchors = CONFIG.anchors[SCALE]
    raw_map = np.zeros((1, SIZE // stride, SIZE // stride, len(anchors), 5 + CLASSES), np.float32)
    column, row = CELL
    raw_map[0, row, column, ANCHOR, :5] = raw
    return decode(raw_map, anchors, stride)[0, row, column, ANCHOR, :5].numpy()


def draw():
    """Draw the box of `RAW` in its cell, and the two functions that `decode` applies."""
    import_tensorflow()
    from matplotlib.figure import Figure

    x, y, width, height, confidence = decode_prediction(RAW)
    anchor = CONFIG.anchors[SCALE][ANCHOR]
    print(f"cell ({CELL[0]}, {CELL[1]}), stride {CONFIG.strides[SCALE]}, anchor {_shape(anchor)}")
    print("raw  t_x {:.1f}  t_y {:.1f}  t_w {:.1f}  t_h {:.1f}  confidence {:.1f}".format(*RAW))
    size = f"{width:.1f}x{height:.1f}"
    print(f"box  centre ({x:.1f}, {y:.1f})  size {size}  confidence {confidence:.2f}")
    figure = Figure(figsize=(9.6, 4.2))
    image, curves = figure.subplots(1, 2, width_ratios=(1.25, 1))
    _draw_box(image, (x, y, width, height), anchor)
    _draw_functions(curves)
    return figure


def _shape(anchor):
    return "x".join(f"{number:g}" for number in anchor)


def _draw_box(axes, box_xywh, anchor):
    from matplotlib.patches import Rectangle

    stride = CONFIG.strides[SCALE]
    left, top, right, bottom = SHOWN
    for place in range(0, SIZE + 1, stride):
        axes.plot([place, place], [top, bottom], color=PALE, lw=1, zorder=1)
        axes.plot([left, right], [place, place], color=PALE, lw=1, zorder=1)
    corner = [index * stride for index in CELL]
    middle = [place + stride / 2 for place in corner]
    axes.add_patch(Rectangle(corner, stride, stride, facecolor=ORANGE + "33", edgecolor=ORANGE))
    x, y, width, height = box_xywh
    for centre, size, style in (
        (middle, anchor, {"edgecolor": GREY, "ls": "--", "lw": 1.6}),
        ((x, y), (width, height), {"edgecolor": BLUE, "lw": 2}),
    ):
        start = (centre[0] - size[0] / 2, centre[1] - size[1] / 2)
        axes.add_patch(Rectangle(start, *size, fill=False, **style))
    axes.plot(x, y, "o", color=BLUE, markersize=6)
    axes.text(x, y - height / 2 - 4, "predicted box", color=BLUE, ha="center")
    low = middle[1] + anchor[1] / 2
    axes.text(middle[0], low - 6, f"anchor {_shape(anchor)}", color=GREY, ha="center", fontsize=9)
    cell = f"cell ({CELL[0]}, {CELL[1]})"
    axes.text(middle[0], corner[1] - 4, cell, color=ORANGE, ha="center", fontsize=9)
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", title="One prediction")
    axes.axis("off")


def _draw_functions(axes):
    """Draw the place within the cell and the factor of the anchor against the raw number."""
    import numpy as np

    stride = CONFIG.strides[SCALE]
    t = np.linspace(-4, 4, 81)
    decoded = np.array([decode_prediction((value, 0, value, 0, 0)) for value in t])
    place = decoded[:, 0] / stride - CELL[0]
    factor = decoded[:, 2] / CONFIG.anchors[SCALE][ANCHOR][0]
    axes.plot(t, place, color=BLUE, label="centre within the cell: sigmoid($t_x$)")
    axes.plot(t, factor, color=ORANGE, label="width / anchor width: exp($t_w$)")
    axes.axhline(1, color=INK, lw=0.8, ls=":")
    axes.set(xlim=(-4, 4), ylim=(0, 4), xlabel="raw number", title="The two functions")
    axes.legend(loc="upper left", fontsize=9)


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
