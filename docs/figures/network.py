"""Draw YOLOv3: the backbone, the three scales and the raw maps, with the sizes of the real model.

python docs/figures/network.py
"""

from dataclasses import dataclass

from figure_script import run_figure_script
from yolov3.cli.run import import_tensorflow, run_script
from yolov3.configs import Config
from yolov3.plots import BLUE, GREEN, GREY, INK, ORANGE

CLASSES = 10  # the digits
SIZE = Config().train_input_size


@dataclass(frozen=True)
class Stage:
    """A feature map (grid, grid, channels), and how many residual blocks work on that grid."""

    grid: int
    channels: int
    blocks: int = 0


def measure(tiny: bool) -> tuple[list[Stage], list[Stage], list[tuple[int, ...]]]:
    """Return the widest backbone map of each grid, the joined maps, and the shapes of the raw maps.

    A join is where the neck concatenates an upsampled map with one of the backbone.
    """
    import keras
    from keras import layers

    from yolov3.yolov3 import build_yolov3

    network = build_yolov3(CLASSES, tiny)
    kinds = (layers.LeakyReLU, layers.Add, layers.Concatenate)
    chosen = [layer for layer in network.layers if isinstance(layer, kinds)]
    joins = [layer for layer in chosen if isinstance(layer, layers.Concatenate)]
    backbone = chosen[: chosen.index(joins[0])]
    outputs = [layer.output for layer in chosen]
    image_shape = (1, SIZE, SIZE, 3)
    shapes = keras.Model(network.input, outputs).compute_output_shape(image_shape)
    shape_of = dict(zip((layer.name for layer in chosen), shapes, strict=True))
    stages = {}
    for layer in backbone:
        _, grid, _, channels = shape_of[layer.name]
        before = stages.get(grid, Stage(grid, 0))
        if not stages or grid <= min(stages):
            blocks = before.blocks + isinstance(layer, layers.Add)
            stages[grid] = Stage(grid, max(before.channels, channels), blocks)
    necks = [Stage(shape_of[join.name][1], shape_of[join.name][3]) for join in joins]
    raw_shapes = [tuple(shape[1:]) for shape in network.compute_output_shape(image_shape)]
    return list(stages.values()), necks, raw_shapes


def draw():
    """Draw Darknet-53 with its neck and heads; print the sizes of both networks."""
    import_tensorflow()
    from matplotlib.figure import Figure

    for tiny in (True, False):
        stages, necks, raw_shapes = measure(tiny)
        _print_sizes(tiny, stages, raw_shapes)
    figure = Figure(figsize=(10, 5.2))
    axes = figure.subplots()
    _draw_network(axes, stages, necks, raw_shapes)
    return figure


def _print_sizes(tiny, stages, raw_shapes):
    print("YOLOv3-tiny" if tiny else "YOLOv3")
    for stage in stages:
        blocks = f"  residual blocks: {stage.blocks}" if stage.blocks else ""
        print(f"  {stage.grid:3}x{stage.grid:3}x{stage.channels:4}{blocks}")
    for shape in raw_shapes:
        count = shape[0] * shape[1] * shape[2]
        print(f"  raw map {'x'.join(map(str, shape))}: {count} predictions")


def _draw_network(axes, stages, necks, raw_shapes):
    """Put grids in columns: the backbone on top, the neck below it, the heads at the bottom."""
    coarse = len(stages) - 1
    _box(axes, -1, 2, f"image\n{SIZE}x{SIZE}\n3", GREY)
    for column, stage in enumerate(stages):
        blocks = f"{stage.blocks} x residual" if stage.blocks else "1 convolution"
        _box(axes, column, 2, f"{stage.grid}x{stage.grid}\n{stage.channels}\n{blocks}", BLUE)
        _arrow(axes, (column - 0.6, 2), (column - 0.41, 2))
    joined = {neck.grid: neck.channels for neck in necks}
    for shape in raw_shapes:
        grid = shape[0]
        column = [stage.grid for stage in stages].index(grid)
        channels = f"joined: {joined[grid]}\n" if grid in joined else ""
        _box(axes, column, 1, f"{grid}x{grid}\n{channels}5 convolutions", GREEN)
        _arrow(axes, (column, 1.62), (column, 1.38))
        if column < coarse:
            _arrow(axes, (column + 0.6, 1), (column + 0.41, 1))
            axes.text(column + 0.5, 1.1, "up\nx2", ha="center", fontsize=8.5)
        _box(axes, column, 0, f"{'x'.join(map(str, shape))}\nstride {SIZE // grid}", ORANGE)
        _arrow(axes, (column, 0.62), (column, 0.38))
    _draw_residual_block(axes)
    left = coarse - len(raw_shapes) + 0.5
    for x, y, name, align in (
        (-1.39, 2.5, "backbone: Darknet-53 (grid, channels, blocks)", "left"),
        (left, 1, "neck", "right"),
        (left, 0, "heads:\nraw maps", "right"),
    ):
        axes.text(x, y, name, fontweight="bold", va="center", ha=align)
    axes.set_xlim(-1.42, coarse + 0.42)
    axes.set_ylim(-0.4, 2.65)
    axes.axis("off")


def _draw_residual_block(axes):
    """Draw what "residual" stands for, with c channels."""
    y = 0.45
    axes.text(-1.39, y + 0.75, "a residual block", fontweight="bold", va="center")
    axes.text(-1.36, y, "c channels", va="center", fontsize=9)
    _box(axes, -0.15, y, "conv 1x1\nc / 2", BLUE, height=0.5)
    _box(axes, 0.85, y, "conv 3x3\nc", BLUE, height=0.5)
    for start, end in ((-0.76, -0.56), (0.25, 0.44), (1.25, 1.42), (1.58, 1.76)):
        _arrow(axes, (start, y), (end, y))
    axes.text(1.5, y, "+", ha="center", va="center", fontsize=15, fontweight="bold")
    axes.plot([-0.68, -0.68, 1.5], [y, y + 0.42, y + 0.42], color=INK, lw=1.3)
    _arrow(axes, (1.5, y + 0.43), (1.5, y + 0.1))


def _box(axes, x, y, text, colour, height=0.72):
    from matplotlib.patches import FancyBboxPatch

    style = {"boxstyle": "round,pad=0,rounding_size=0.06", "facecolor": colour + "22", "lw": 1.6}
    corner = (x - 0.39, y - height / 2)
    axes.add_patch(FancyBboxPatch(corner, 0.78, height, edgecolor=colour, **style))
    axes.text(x, y, text, ha="center", va="center", fontsize=9, linespacing=1.35)


def _arrow(axes, start, end):
    style = {"arrowstyle": "-|>", "color": INK, "lw": 1.3, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=style)


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
