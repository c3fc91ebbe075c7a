"""Draw the learning rate of a training run, and what other warm-ups would make of it.

python docs/figures/learning_rate.py
"""

from figure_script import run_figure_script
from yolov3.cli.run import import_tensorflow, run_script
from yolov3.configs import Config
from yolov3.plots import BLUE, GREEN, ORANGE

IMAGES = 1000  # what mnist/make_data.py makes to train on


def rates(config: Config, warmup_epochs: float):
    """Return the learning rate of every step of a run on IMAGES images: (steps,)."""
    import math

    import numpy as np

    from yolov3.schedule import learning_rate_schedule

    steps_per_epoch = math.ceil(IMAGES / config.train_batch_size)
    total_steps = config.train_epochs * steps_per_epoch
    schedule = learning_rate_schedule(
        config.train_lr_init,
        config.train_lr_end,
        round(warmup_epochs * steps_per_epoch),
        total_steps,
    )
    return np.array([float(schedule(step)) for step in range(total_steps)])


def draw():
    """Draw the default schedule and two extreme ones; print their first, highest and last rate."""
    from matplotlib.figure import Figure

    import_tensorflow()
    config = Config()
    figure = Figure(figsize=(8, 4))
    axes = figure.subplots()
    for warmup_epochs, name, colour in (
        (config.train_warmup_epochs, "default", BLUE),
        (0, "no warm-up", ORANGE),
        (config.train_epochs, "warm-up as long as the run", GREEN),
    ):
        y = rates(config, warmup_epochs)
        print(
            f"{f'{name}, {warmup_epochs:g} epochs':38} first {y[0]:.2e}  "
            f"highest {y.max():.2e} at step {y.argmax():4}  last {y[-1]:.2e}"
        )
        style = {"lw": 2.6, "zorder": 3} if name == "default" else {"lw": 1.6, "ls": "--"}
        axes.plot(1000 * y, color=colour, label=name, **style)
    steps_per_epoch = len(y) // config.train_epochs
    axes.set_xticks(range(0, len(y) + 1, steps_per_epoch))
    epochs = axes.secondary_xaxis(
        "top", functions=(lambda x: x / steps_per_epoch, lambda x: x * steps_per_epoch)
    )
    epochs.set_xlabel("epoch")
    axes.set_xlim(0, len(y))
    axes.set_ylim(0, 1000 * config.train_lr_init * 1.08)
    axes.set_xlabel("step")
    axes.set_ylabel("learning rate in thousandths")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
