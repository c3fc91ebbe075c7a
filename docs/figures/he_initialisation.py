"""Draw how strong the signal is in each layer of an untrained Darknet-53.

python docs/figures/he_initialisation.py
"""

from figure_script import run_figure_script
from yolov3.cli.run import import_tensorflow, run_script
from yolov3.plots import BLUE, GREY, ORANGE

BACKBONE = [f"conv_{index}" for index in range(52)]  # Darknet-53 without its classifier
SMALL_STD = 0.01
BATCH, SIZE = 4, 128  # random images, pixels
SEED = 0


def measure() -> dict[tuple[str, bool], list[float]]:
    """Return the standard deviation of each layer's output, for (initial weights, normalised).

    The residual blocks, which start muted, are switched on: this is about the weights in them.
    Before the first training step batch normalisation has the mean 0 and the variance 1 to go by,
    so a forward pass in inference shows the network as it would be without normalisation.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    from yolov3.yolov3 import build_yolov3

    keras.utils.set_random_seed(SEED)
    network = build_yolov3(num_classes=1)
    convolutions = [network.get_layer(name) for name in BACKBONE]
    signals = keras.Model(network.input, [layer.output for layer in convolutions])
    for layer in network.layers:
        if layer.name.startswith("bn_"):
            layer.gamma.assign(tf.ones_like(layer.gamma))
    initial = signals.get_weights()
    spread = [float(np.std(layer.kernel)) for layer in convolutions]
    print(f"standard deviations that He chooses: {max(spread):.3f} to {min(spread):.3f}")
    rng = np.random.default_rng(SEED)
    images = rng.uniform(0, 1, (BATCH, SIZE, SIZE, 3)).astype(np.float32)
    found = {}
    for name in ("He", "0.01"):
        signals.set_weights(initial)
        if name == "0.01":
            for layer in convolutions:
                layer.kernel.assign(rng.normal(0, SMALL_STD, layer.kernel.shape))
        for normalised in (False, True):  # in this order, for True moves the statistics
            outputs = signals(images, training=normalised)
            found[name, normalised] = [float(np.std(output)) for output in outputs]
    return found


def draw():
    """Draw the four curves and print where they end."""
    from matplotlib.figure import Figure

    import_tensorflow()
    figure = Figure(figsize=(8, 4.6))
    axes = figure.subplots()
    colours = {"He": BLUE, "0.01": ORANGE}
    for (name, normalised), stds in measure().items():
        kind = "with" if normalised else "without"
        print(f"{name:4} {kind:7} normalisation: layer 52 {stds[-1]:.1e}")
        axes.plot(
            range(1, len(stds) + 1),
            stds,
            color=colours[name],
            linestyle="-" if normalised else (0, (2, 1)),
            label=f"{name if name == 'He' else 'std 0.01'}, {kind} batch normalisation",
        )
    axes.axhline(1, color=GREY, linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xlim(1, len(BACKBONE))
    axes.set_xlabel("convolution of Darknet-53")
    axes.set_ylabel("standard deviation of its output")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
