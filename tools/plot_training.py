"""Draw the validation mAP of runs against the minutes of training, from their TensorBoard logs.

python tools/plot_training.py log/*
python tools/plot_training.py log/yolov3_20261124-101500 --output curves.png
"""

import argparse
import math
import sys
from pathlib import Path

from yolov3.cli.flags import Parser
from yolov3.cli.run import import_tensorflow, run_script

LOG_FILES = "events.out.tfevents.*"
TAGS = {f"mAP/{label}": label for label in ("mAP50", "mAP75", "mAP")}


def parse_args(argv=None) -> argparse.Namespace:
    parser = Parser(__doc__)
    parser.add_argument("logs", nargs="+", metavar="LOG", help="log folder of runs")
    parser.add_argument(
        "--output", default="training.png", metavar="PNG", help="default: %(default)s"
    )
    return parser.parse_args(argv)


def read_curves(log_folder: str | Path) -> dict[str, list[tuple[float, float]]]:
    """Return the (minutes of training, value) of each mAP tag.

    The time between the end of a run and its resumption does not count. Raises ValueError for a
    folder without a validation in it.
    """
    import tensorflow as tf
    from tensorboard.backend.event_processing import plugin_event_accumulator
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    sizes = {"size_guidance": {"tensors": 0}, "tensor_size_guidance": {"images": 1}}  # 0: all
    log = plugin_event_accumulator.EventAccumulator(str(log_folder), **sizes)
    log.Reload()
    tags = log.Tags()["tensors"]
    if not set(TAGS) <= set(tags):
        raise ValueError(f"{log_folder}: not the log of a run with a validation")
    times = sorted(event.wall_time for tag in tags for event in log.Tensors(tag))
    files = (EventFileLoader(str(path)) for path in sorted(Path(log_folder).glob(LOG_FILES)))
    starts = [next(file.Load()).wall_time for file in files] + [math.inf]

    def minutes(now):
        """Return the minutes of training up to a time, from each start to its last event."""
        seconds = 0.0
        for start, next_start in zip(starts, starts[1:], strict=False):
            within = [time for time in times if start <= time < next_start and time <= now]
            seconds += within[-1] - start if within else 0
        return seconds / 60

    return {
        label: [
            (minutes(event.wall_time), float(tf.make_ndarray(event.tensor_proto)))
            for event in log.Tensors(tag)
        ]
        for tag, label in TAGS.items()
    }


def read_runs(logs: list[str]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Return the curves of every run that has its log in or below these folders, by its name.

    Runs without a validation are skipped and named. Raises ValueError where nothing remains.
    """
    runs = {}
    for log in logs:
        for folder in sorted({path.parent for path in Path(log).rglob(LOG_FILES)}):
            try:
                name = str(folder) if folder.name in runs else folder.name
                runs[name] = read_curves(folder)
            except ValueError as error:
                print(f"skipped: {error}", file=sys.stderr)
    if not runs:
        raise ValueError(f"{' '.join(logs)}: no logs of runs with a validation")
    return runs


def draw(runs: dict[str, dict], output: str) -> None:
    """Draw one panel per run: mAP50, mAP75 and mAP against minutes."""
    import matplotlib

    from yolov3.plots import STYLE, map_figure, save_figure

    with matplotlib.rc_context(STYLE):
        save_figure(map_figure(runs), output)


def main(argv=None) -> int:
    args = parse_args(argv)
    import_tensorflow()
    runs = read_runs(args.logs)
    for name, run in runs.items():
        for label, points in run.items():
            text = ", ".join(f"{value:.4f} after {minutes:.1f}" for minutes, value in points)
            print(f"{name} {label}: {text} min")
    draw(runs, args.output)
    print(f"saved {args.output}")
    return 0


if __name__ == "__main__":
    run_script(main)
