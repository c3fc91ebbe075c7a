"""Draw which cells and anchors learn the boxes of a scene, and which predictions are ignored.

python docs/figures/assignment.py
"""

from figure_script import run_figure_script
from yolov3.cli.run import import_tensorflow, run_script
from yolov3.configs import Config
from yolov3.plots import GREY, SKY

CONFIG = Config()
SIZE = CONFIG.train_input_size
SEED = 12  # a scene with digits of all sizes
CLASSES = 10
IGNORED = SKY + "77"
ENLARGED = 1  # index of the box that the lower row shows
WINDOW = 168  # pixels of the scene in the lower row
COLOURS = ("#D55E00", "#009E73", "#0072B2", "#CC79A7", "#E69F00", "#7A4FBF")


def make_scene():
    """Return an image (SIZE, SIZE) of offline digits, its boxes_xyxy (N, 4) and labels (N,)."""
    import numpy as np

    from mnist.scenes import make_scenes
    from mnist.sklearn_digits import read_offline_digits

    images, labels, *_ = read_offline_digits()
    return next(make_scenes(images, labels, 1, SIZE, np.random.default_rng(SEED)))


def assign(boxes_xyxy, labels):
    """Return the target of each scale, arrays (G, G, A, 5 + C)."""
    import numpy as np

    from yolov3.labels import assign_anchors

    grid_sizes = [(SIZE // stride, SIZE // stride) for stride in CONFIG.strides]
    targets = assign_anchors(
        np.float32(boxes_xyxy)[None],
        np.int32(labels)[None],
        CONFIG.anchors,
        CONFIG.strides,
        grid_sizes,
        CLASSES,
    )
    return [target[0].numpy() for target in targets]


def untrained_overlaps(boxes_xyxy):
    """Return the best IoU of a network's predictions with any box, per scale (G, G, A).

    Where all raw outputs are zero, each prediction is its anchor, in the middle of its cell.
    """
    import numpy as np
    import tensorflow as tf

    from yolov3.boxes import bbox_iou, xywh_to_xyxy
    from yolov3.yolov3 import decode

    overlaps = []
    for anchors, stride in zip(CONFIG.anchors, CONFIG.strides, strict=True):
        raw = tf.zeros([1, SIZE // stride, SIZE // stride, len(anchors), 5 + CLASSES])
        predicted_xyxy = xywh_to_xyxy(decode(raw, anchors, stride)[0, ..., :4])
        iou = bbox_iou(predicted_xyxy[..., tf.newaxis, :], np.float32(boxes_xyxy))
        overlaps.append(tf.reduce_max(iou, axis=-1).numpy())
    return overlaps


def draw():
    """Draw two panels per scale; print who learns each box, and how the predictions divide."""
    import_tensorflow()
    from matplotlib.figure import Figure

    from yolov3.losses import IGNORE_IOU

    scene = make_scene()
    targets = assign(scene.boxes_xyxy, scene.labels)
    figure = Figure(figsize=(10, 7.4))
    rows = figure.subplots(2, len(targets))
    overlaps = untrained_overlaps(scene.boxes_xyxy)
    _print_assignment(scene, targets)
    for axes, enlarged, target, overlap, stride in zip(
        *rows, targets, overlaps, CONFIG.strides, strict=True
    ):
        has_object = target[..., 4] > 0
        ignored = (overlap >= IGNORE_IOU) & ~has_object
        print(
            f"stride {stride:2}: {has_object.size} predictions: {has_object.sum()} learn a box, "
            f"{ignored.sum()} ignored"
        )
        for panel in (axes, enlarged):
            _shade(panel, ignored.any(axis=-1), stride)
            _fill_cells(panel, scene, target, stride)
            _draw_scene(panel, scene, stride)
        anchors = "  ".join("x".join(map(str, anchor)) for anchor in _anchors(stride))
        axes.set_title(f"stride {stride}, anchors {anchors}", fontsize=9.5)
        shapes = " and ".join(_draw_anchors(enlarged, scene, target, stride)) or "no anchor"
        enlarged.set_title(f"the large 7: learned by {shapes}", fontsize=9.5)
        _zoom(enlarged, scene.boxes_xyxy[ENLARGED])
    _add_legend(figure)
    return figure


def _zoom(axes, box):
    x, y = (box[:2] + box[2:]) / 2
    axes.set_xlim(x - WINDOW / 2, x + WINDOW / 2)
    axes.set_ylim(y + WINDOW / 2, y - WINDOW / 2)


def _add_legend(figure):
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    colour = COLOURS[ENLARGED]
    figure.legend(
        [
            Patch(fill=False, edgecolor=colour, linewidth=1.8),
            Patch(facecolor=colour),
            Line2D([], [], color=colour, linestyle="--", linewidth=1.8),
            Patch(facecolor=IGNORED),
        ],
        [
            "true box, a colour for each",
            "cell that learns it",
            "anchor that learns it, centred on its cell",
            "ignored",
        ],
        loc="outside lower center",
        ncols=4,
    )


def _print_assignment(scene, targets):
    import numpy as np

    for index, box in enumerate(scene.boxes_xyxy):
        found = []
        for target, stride in zip(targets, CONFIG.strides, strict=True):
            for row, column, anchor in np.argwhere(target[..., 4] > 0):
                if _owner(scene, target[row, column, anchor]) == index:
                    shape = "x".join(map(str, _anchors(stride)[anchor]))
                    found.append(f"{shape} at cell ({column}, {row})")
        width, height = box[2:] - box[:2]
        print(f"digit {scene.labels[index]}, {width}x{height}: {', '.join(found)}")


def _anchors(stride):
    return CONFIG.anchors[CONFIG.strides.index(stride)]


def _owner(scene, value) -> int:
    """Return the index of the box that a target value (5 + C,) belongs to."""
    import numpy as np

    centres = (scene.boxes_xyxy[:, :2] + scene.boxes_xyxy[:, 2:]) / 2
    return int(np.abs(centres - value[:2]).sum(axis=1).argmin())


def _draw_scene(axes, scene, stride):
    """Draw the digits, the grid of cells, and each box in its colour."""
    import numpy as np
    from matplotlib.patches import Rectangle

    ink = np.zeros((*scene.image.shape, 4))
    ink[..., 3] = (255 - scene.image) / 255 * 0.4  # see-through, so that cells show below
    axes.imshow(ink, zorder=2)
    for place in range(0, SIZE + 1, stride):
        style = {"color": GREY, "linewidth": 0.25 if stride == min(CONFIG.strides) else 0.4}
        axes.plot([place, place], [0, SIZE], **style)
        axes.plot([0, SIZE], [place, place], **style)
    for index, box in enumerate(scene.boxes_xyxy):
        style = {"fill": False, "edgecolor": COLOURS[index], "linewidth": 1.6, "zorder": 3}
        axes.add_patch(Rectangle(box[:2], *(box[2:] - box[:2]), **style))
    axes.set_xlim(0, SIZE)
    axes.set_ylim(SIZE, 0)
    axes.axis("off")


def _shade(axes, cells, stride):
    """Tint the cells (G, G) that hold ignored predictions."""
    import numpy as np
    from matplotlib.patches import Rectangle

    for row, column in np.argwhere(cells):
        corner = (column * stride, row * stride)
        axes.add_patch(Rectangle(corner, stride, stride, facecolor=IGNORED, edgecolor="none"))


def _fill_cells(axes, scene, target, stride):
    """Fill the cells that learn a box, in the box's colour."""
    import numpy as np
    from matplotlib.patches import Rectangle

    for row, column, anchor in np.argwhere(target[..., 4] > 0):
        colour = COLOURS[_owner(scene, target[row, column, anchor])]
        corner = np.array([column, row]) * stride
        axes.add_patch(Rectangle(corner, stride, stride, facecolor=colour, edgecolor="none"))


def _draw_anchors(axes, scene, target, stride) -> list[str]:
    """Draw the anchors of this scale that learn the enlarged box; return their shapes."""
    import numpy as np
    from matplotlib.patches import Rectangle

    shapes = []
    for row, column, anchor in np.argwhere(target[..., 4] > 0):
        if _owner(scene, target[row, column, anchor]) != ENLARGED:
            continue
        size = np.array(_anchors(stride)[anchor])
        corner = (np.array([column, row]) + 0.5) * stride - size / 2
        style = {"fill": False, "edgecolor": COLOURS[ENLARGED], "lw": 1.8, "ls": "--", "zorder": 4}
        axes.add_patch(Rectangle(corner, *size, **style))
        shapes.append("x".join(map(str, size)))
    return shapes


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
