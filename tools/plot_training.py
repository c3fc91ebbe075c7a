"""Draw the validation mAP of runs against the minutes of training, from their TensorBoard logs.

python tools/plot_training.py log/*
python tools/plot_training.py log/yolov3_20261124-101500 --output curves.png
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

from yolov3.cli.flags import Parser
from yolov3.cli.run import import_tensorflow, run_script

LOG_FILES = "events.out.tfevents.*"
TAGS = {f"mAP/{label}": label for label in ("mAP50", "mAP75", "mAP")}


def parse_args(argv=None) -> argparse.Namespace:
    parser = Parser(__doc__)
    parser.add_argument("logs", nargs="+", metavar="LOG", help="log folder of runs")
    output = "default: %(default)s"
    parser.add_argument("--output", default="training.png", metavar="PNG", help=output)
    return parser.parse_args(argv)


class Point(NamedTuple):
    """A value in a log: a number or a text; None for tags that nobody asked for."""

    step: int
    minutes: float  # of training
    tag: str
    value: float | bytes | None


def read_points(log_folder: str | Path, tags) -> list[Point]:
    """Return what a log says of some tags, in the order of the steps.

    Time counts up to the step that a run was resumed at, and on from there.
    """
    import tensorflow as tf
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    points = []
    files = sorted(Path(log_folder).glob(LOG_FILES))
    for event in (event for path in files for event in EventFileLoader(str(path)).Load()):
        kind = event.WhichOneof("what")
        if kind == "file_version":  # the first of a file
            start = event.wall_time
        if kind == "session_log":  # begun, or resumed at this step: later ones are done again
            points = [point for point in points if point.step < event.step]
        if kind in ("file_version", "session_log"):
            before = points[-1].minutes if points else 0
        for value in event.summary.value:
            known = tf.make_ndarray(value.tensor).item() if value.tag in tags else None
            minutes = before + (event.wall_time - start) / 60
            points.append(Point(event.step, minutes, value.tag, known))
    return points


def read_curves(log_folder: str | Path) -> dict[str, list[tuple[float, float]]]:
    """Return the (minutes of training, value) of each mAP.

    Raises ValueError for a folder without a validation in it.
    """
    points = read_points(log_folder, TAGS)
    curves = {
        label: [(point.minutes, point.value) for point in points if point.tag == tag]
        for tag, label in TAGS.items()
    }
    if not all(curves.values()):
        raise ValueError(f"{log_folder}: not the log of a run with a validation")
    return curves


def read_runs(logs: list[str], read=read_curves) -> dict:
    """Return what `read` returns of every run's log in or below these folders, by the run's name.

    Runs without a validation are skipped and named. Raises ValueError where nothing remains.
    """
    runs = {}
    for log in logs:
        for folder in sorted({path.parent for path in Path(log).rglob(LOG_FILES)}):
            try:
                name = str(folder) if folder.name in runs else folder.name
                runs[name] = read(folder)
            except ValueError as error:
                print(f"skipped: {error}", file=sys.stderr)
    if not runs:
        raise ValueError(f"{' '.join(logs)}: no logs of runs with a validation")
    return runs


def main(argv=None) -> int:
    args = parse_args(argv)
    import_tensorflow()
    import matplotlib

    from yolov3.plots import STYLE, map_figure, save_figure

    runs = read_runs(args.logs)
    for name, run in runs.items():
        for label, points in run.items():
            text = ", ".join(f"{value:.4f} after {minutes:.1f}" for minutes, value in points)
            print(f"{name} {label}: {text} min")
    with matplotlib.rc_context(STYLE):
        save_figure(map_figure(runs), args.output)
    print(f"saved {args.output}")
    return 0


if __name__ == "__main__":
    run_script(main)
