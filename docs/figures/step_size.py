"""Draw gradient descent down a parabola with learning rates too small, right and too large.

python docs/figures/step_size.py
"""

from figure_script import run_figure_script
from yolov3.cli.run import run_script
from yolov3.plots import BLUE, GREY, ORANGE

START = -0.9
STEPS = 8
RATES = {"too small": 0.05, "right": 0.35, "too large": 1.04}


def descend(rate: float) -> list[float]:
    """Return the places w that gradient descent on the loss w^2 visits, START first."""
    places = [START]
    for _ in range(STEPS):
        places.append(places[-1] - rate * 2 * places[-1])  # the slope of w^2 is 2 w
    return places


def draw():
    """Draw one panel per learning rate and print where the descents end."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.9))
    w = np.linspace(-1.75, 1.75, 200)
    panels = figure.subplots(1, len(RATES), sharex=True, sharey=True)
    for axes, (name, rate) in zip(panels, RATES.items(), strict=True):
        places = np.array(descend(rate))
        print(f"{name:9}  rate {rate:4}  loss {START**2:.2f} -> {places[-1] ** 2:.2g}")
        axes.plot(w, w**2, color=GREY, linewidth=1.5)
        axes.plot(places, places**2, color=BLUE, linewidth=1, marker="o", markersize=5)
        axes.plot(places[0], places[0] ** 2, color=ORANGE, marker="o", markersize=8)
        axes.set_title(f"{name}: {rate}")
        axes.set_xlabel("weight")
    figure.axes[0].set_ylabel("loss")
    return figure


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
