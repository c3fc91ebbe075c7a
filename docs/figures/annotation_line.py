"""Draw an image with its boxes and the annotation line that describes them.

python docs/figures/annotation_line.py
"""

from figure_script import run_figure_script
from yolov3.cli.run import run_script
from yolov3.plots import BLUE, GREEN, INK, ORANGE

SIZE = 416  # pixels
SEED = 162  # a scene with three digits
COLOURS = (BLUE, ORANGE, GREEN)
NAME = "scene.png"


def make_scene():
    """Return an image (SIZE, SIZE) of offline digits, its boxes_xyxy (3, 4) and labels (3,)."""
    import numpy as np

    from mnist.scenes import make_scenes
    from mnist.sklearn_digits import read_offline_digits

    images, labels, *_ = read_offline_digits()
    return next(make_scenes(images, labels, 1, SIZE, np.random.default_rng(SEED)))


def draw():
    """Draw the image with the corners of its boxes, and below it the line, which is printed."""
    from matplotlib.figure import Figure

    from yolov3.annotations import format_line

    scene = make_scene()
    line = format_line(NAME, scene.boxes_xyxy, scene.labels)
    print(line)
    figure = Figure(figsize=(6.1, 6.2))
    image, text = figure.subplots(2, 1, height_ratios=(12, 1))
    image.imshow(scene.image, cmap="gray", vmin=0, vmax=255, extent=(0, SIZE, SIZE, 0))
    for box, label, colour in zip(scene.boxes_xyxy, scene.labels, COLOURS, strict=True):
        _draw_box(image, box, label, colour)
    image.xaxis.tick_top()
    image.xaxis.set_label_position("top")
    image.set(xlabel="x, pixels", ylabel="y, pixels")
    image.grid(False)
    for spine in image.spines.values():
        spine.set_visible(True)
    _write_line(text, line.split(" "))
    return figure


def _draw_box(axes, box_xyxy, label, colour):
    from matplotlib.patches import Rectangle

    left, top, right, bottom = box_xyxy.tolist()
    style = {"fill": False, "edgecolor": colour, "linewidth": 1.8}
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, **style))
    axes.plot([left, right], [top, bottom], "o", color=colour, markersize=5)
    axes.annotate(f"{left}, {top}", (left, top), (-3, 5), ha="left", color=colour, **_POINTS)
    middle = (right, (top + bottom) / 2)
    axes.annotate(f"label {label}", middle, (5, 0), va="center", color=colour, **_POINTS)
    corner = f"{right}, {bottom}"
    axes.annotate(corner, (right, bottom), (3, -5), ha="right", va="top", color=colour, **_POINTS)


_POINTS = {"textcoords": "offset points", "fontsize": 9}


def _write_line(axes, words):
    """Write the words side by side, the boxes in their colours."""
    axes.axis("off")
    style = {"family": "DejaVu Sans Mono", "fontsize": 10, "va": "center"}
    shown = axes.text(0, 0.5, words[0], color=INK, transform=axes.transAxes, **style)
    for word, colour in zip(words[1:], COLOURS, strict=True):
        shown = axes.annotate(" " + word, (1, 0.5), xycoords=shown, color=colour, **style)


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
