"""Draw the validation mAP of runs against the minutes of training, from their results.csv.

python tools/plot_training.py log/*
python tools/plot_training.py log/yolov3_20261124-101500 --output curves.png
"""

import argparse
import csv
import sys
from pathlib import Path

from yolov3.cli.flags import Parser
from yolov3.cli.run import run_script

RESULTS = "results.csv"
MAPS = ("mAP50", "mAP75", "mAP")


def parse_args(argv=None) -> argparse.Namespace:
    parser = Parser(__doc__)
    parser.add_argument("logs", nargs="+", metavar="LOG", help="log folder of runs")
    output = "default: %(default)s"
    parser.add_argument("--output", default="training.png", metavar="PNG", help=output)
    return parser.parse_args(argv)


def read_curves(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Return the (minutes of training, value) of each mAP of a run, from its log folder.

    Raises ValueError for a run without a validation.
    """
    with (folder / RESULTS).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        raise ValueError(f"{folder}: no validation yet")
    return {name: [(float(row["minutes"]), float(row[name])) for row in rows] for name in MAPS}


def read_runs(logs: list[str], files: str = RESULTS, read=read_curves) -> dict:
    """Return what `read` returns of each folder with such `files` in or below some, by its name.

    Runs without a validation are skipped and named. Raises ValueError where nothing remains.
    """
    runs = {}
    for log in logs:
        for folder in sorted({path.parent for path in Path(log).rglob(files)}):
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
    import matplotlib

    from yolov3.plots import STYLE, map_figure, save_figure

    runs = read_runs(args.logs)
    for name, run in runs.items():
        for label, points in run.items():
            text = ", ".join(f"{value:.4f} after {minutes:.1f}" for minutes, value in points)
            print(f"{name} {label}: {text} min")
    with matplotlib.rc_context(STYLE):
        save_figure(map_figure(runs, "minutes of training"), args.output)
    print(f"saved {args.output}")
    return 0


if __name__ == "__main__":
    run_script(main)
