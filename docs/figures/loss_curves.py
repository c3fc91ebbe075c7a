"""Draw the parts of the loss: confidence, the weight of a box's size, class.

python docs/figures/loss_curves.py
"""

from figure_script import run_figure_script
from yolov3.cli.run import import_tensorflow, run_script
from yolov3.configs import ANCHORS_PER_SCALE, Config
from yolov3.plots import BLUE, GREY, ORANGE

SIDES = (14, 28, 112, 416)  # pixels: small and large digits of the tutorial, and the whole image
CLASSES = 10
UNTRAINED = 0.0067  # sigmoid(-5), the confidence of a network before training


def confidence_losses(confidence):
    """Return the loss (N,) of confidences (N,) at an object, and where there is none."""
    import tensorflow as tf

    from yolov3.losses import confidence_loss

    logits = _logit(confidence)
    yes, no = tf.ones_like(logits), tf.zeros_like(logits)
    return confidence_loss(logits, yes, no).numpy(), confidence_loss(logits, no, yes).numpy()


def size_weights(sides):
    """Return the weight of the box loss of square boxes of sides (N,) in pixels: (N,)."""
    import numpy as np

    from yolov3.losses import giou_loss

    sides = np.asarray(sides, np.float32)
    zeros = np.zeros_like(sides)
    true_xywh = np.stack([sides / 2, sides / 2, sides, sides], axis=-1)
    left_half_xyxy = np.stack([zeros, zeros, sides / 2, sides], axis=-1)  # whose GIoU is 0.5
    return giou_loss(left_half_xyxy, true_xywh, Config().train_input_size ** 2).numpy() / 0.5


def class_losses(probability):
    """Return the class loss (N,) for probabilities (N,) of the right class; the rest are ideal."""
    import tensorflow as tf

    from yolov3.losses import LABEL_SMOOTHING, class_loss

    logits = _logit(probability)[:, tf.newaxis]
    others = tf.fill([len(probability), CLASSES - 1], LABEL_SMOOTHING / CLASSES)
    one_hot = tf.one_hot(tf.zeros(len(probability), tf.int32), CLASSES)
    return class_loss(tf.concat([logits, _logit(others)], axis=-1), one_hot).numpy()


def draw():
    """Draw the three parts and print points of them."""
    from matplotlib.figure import Figure

    import_tensorflow()
    figure = Figure(figsize=(10.4, 3.7))
    confidence, size, probability = figure.subplots(1, 3)
    _draw_confidence(confidence)
    _draw_size(size)
    _draw_class(probability)
    return figure


def _draw_confidence(axes):
    import numpy as np

    for c in (UNTRAINED, 0.5, 0.9):
        yes, no = (float(loss[0]) for loss in confidence_losses([c]))
        print(
            f"confidence {c:.4f}  object {-np.log(c):7.4f} -> {yes:9.2g}  "
            f"background {-np.log1p(-c):7.4f} -> {no:9.2g}"
        )
    anchors = sum(
        ANCHORS_PER_SCALE * (Config().train_input_size // stride) ** 2
        for stride in Config().strides
    )
    c = UNTRAINED
    print(
        f"{anchors} background predictions of an untrained network: "
        f"{anchors * -np.log1p(-c):.1f} -> {anchors * confidence_losses([c])[1][0]:.4f}"
    )
    c = np.linspace(0.002, 0.998, 500)
    for cross_entropy, loss, colour, name in (
        (-np.log(c), confidence_losses(c)[0], BLUE, "object"),
        (-np.log1p(-c), confidence_losses(c)[1], ORANGE, "background"),
    ):
        axes.plot(c, loss, color=colour, label=name)
        label = f"{name}, cross-entropy alone"
        axes.plot(c, cross_entropy, color=colour, linewidth=1.2, linestyle="--", label=label)
    axes.set(title="Confidence loss", xlabel="predicted confidence", ylim=(0, 5), xlim=(0, 1))
    axes.set_ylabel("loss of one prediction")
    axes.legend(loc="upper center", fontsize=8.5)


def _draw_size(axes):
    import numpy as np

    for side, weight in zip(SIDES, size_weights(SIDES), strict=True):
        print(f"box of {side:3} pixels  weight {weight:.3f}")
    sides = np.linspace(1, SIDES[-1], 200)
    axes.plot(sides, size_weights(sides))
    axes.set(title="Weight of the box loss", xlabel="side of a square box, pixels")
    axes.set_ylabel("factor of 1 \N{MINUS SIGN} GIoU")
    axes.set(ylim=(0.9, 2.1), xlim=(0, SIDES[-1]))


def _draw_class(axes):
    import numpy as np

    p = np.linspace(0.002, 0.999, 5000)
    loss = class_losses(p)
    print(f"class loss of the right class: least at probability {p[loss.argmin()]:.3f}")
    axes.plot(p, loss, label="smoothed labels")
    axes.plot(p, -np.log(p), color=GREY, linewidth=1.2, linestyle="--", label="hard labels")
    axes.annotate(
        "least at 0.991",
        (p[loss.argmin()], loss.min()),
        (0.62, 1.0),
        fontsize=9,
        arrowprops={"arrowstyle": "->", "color": GREY},
    )
    axes.set(title="Class loss", xlabel="probability of the right class", ylim=(0, 4), xlim=(0, 1))
    axes.set_ylabel("loss of one prediction")
    axes.legend(fontsize=9)


def _logit(probability):
    import tensorflow as tf

    probability = tf.constant(probability, tf.float32)
    return tf.math.log(probability) - tf.math.log1p(-probability)


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
