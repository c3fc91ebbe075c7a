"""Draw what three tanh layers put out for initial weights of different size.

python docs/figures/initial_weights.py
"""

from figure_script import run_figure_script
from yolov3.cli.run import run_script
from yolov3.plots import BLUE

SAMPLES, INPUTS = 2000, 800
INPUT_STD = 0.01
LAYERS = (750, 700, 650)  # neurons
WEIGHT_STDS = (0.25, 0.2, 0.15, 0.1, 0.05, 0.04, 0.03, 0.02)
SEED = 0
SATURATED = 0.9  # of tanh's 1: the slope there is below 0.2


def outputs(weight_std: float):
    """Return what the last layer puts out, (SAMPLES, LAYERS[-1])."""
    import numpy as np

    rng = np.random.default_rng(SEED)
    x = rng.normal(0, INPUT_STD, (SAMPLES, INPUTS)).astype(np.float32)
    for neurons in LAYERS:
        weights = rng.normal(0, weight_std, (x.shape[1], neurons)).astype(np.float32)
        x = np.tanh(x @ weights)
    return x


def draw():
    """Draw a histogram per standard deviation and print their widths."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.6))
    grid = figure.subplots(2, len(WEIGHT_STDS) // 2, sharex=True)
    for axes, weight_std in zip(grid.flat, WEIGHT_STDS, strict=True):
        x = outputs(weight_std)
        saturated = np.mean(np.abs(x) > SATURATED)
        print(f"weights {weight_std:4.2f}  outputs {x.std():.4f}  saturated {saturated:4.0%}")
        axes.hist(x.ravel(), bins=200, range=(-1, 1), color=BLUE)
        axes.set_title(f"weights {weight_std}\noutputs {x.std():.3f}", fontsize=10)
        axes.set_yticks([])
        axes.grid(False)
        axes.spines["left"].set_visible(False)
    figure.suptitle("Standard deviation of the initial weights, and of the outputs they lead to")
    figure.supxlabel(
        "output of the third layer (each histogram is scaled to its own height)", fontsize=10
    )
    return figure


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
