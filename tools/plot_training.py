"""Draw the validation mAP of runs against the minutes of training, from their TensorBoard logs.

python tools/plot_training.py log/*
python tools/plot_training.py log/yolov3_20261124-101500 --output curves.png
"""

import argparse
import sys
from pathlib import Path

from yolov3.cli.flags import Parser
from yolov3.cli.run import import_tensorflow, run_script

TAGS = {"mAP/AP50": "mAP50", "mAP/AP75": "mAP75", "mAP/AP": "mAP"}


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

    from yolov3.runs.event_files import log_files, read_events

    curves = {label: [] for label in TAGS.values()}
    seconds = 0.0
    for path in log_files(log_folder):
        start = None
        for event, _ in read_events(path):
            if start is None:
                start = event.wall_time - seconds
            seconds = event.wall_time - start
            for value in event.summary.value:
                if value.tag in TAGS:
                    number = float(tf.make_ndarray(value.tensor))
                    curves[TAGS[value.tag]].append((seconds / 60, number))
    if not all(curves.values()):
        raise ValueError(f"{log_folder}: expected the log of a validated run; received none")
    return curves


def read_runs(logs: list[str]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Return the curves of every run that has its log in or below these folders, by its name.

    A run that has not got as far as a validation is left out, and said so, and what is no folder
    (`log/README.md`) is passed over. Raises ValueError where nothing remains.
    """
    from yolov3.runs.event_files import LOG_PREFIX

    runs = {}
    for log in logs:
        for folder in sorted({path.parent for path in Path(log).rglob(f"{LOG_PREFIX}*")}):
            try:
                name = str(folder) if folder.name in runs else folder.name
                runs[name] = read_curves(folder)
            except ValueError as error:
                print(f"left out: {error}", file=sys.stderr)
    if not runs:
        raise ValueError(f"{' '.join(logs)}: expected logs of validated runs; received none")
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
