"""Draw mAP against the operations of the training, for the runs of the README.

python docs/figures/training.py

The points are in training.csv, TFLOP by `tools/compare_runs.py`, which draws your runs: 10^12
operations of the convolutions, forward and backward.
"""

import csv
from pathlib import Path

from figure_script import run_figure_script
from yolov3.cli.run import run_script
from yolov3.plots import map_figure

CURVES = ("mAP50", "mAP75", "mAP")


def read_runs(path: Path) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Return the (TFLOP, value) points of each run's curves from a CSV file."""
    runs = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            run = runs.setdefault(row["run"], {curve: [] for curve in CURVES})
            for curve in CURVES:
                run[curve].append((float(row["TFLOP"]), float(row[curve])))
    return runs


def draw():
    """Draw a panel for each run and print when it reached an mAP50 of 0.95, and where it ended."""
    runs = read_runs(Path(__file__).with_suffix(".csv"))
    for name, curves in runs.items():
        first = next(flops for flops, value in curves["mAP50"] if value >= 0.95)
        last = ", ".join(f"{curve} {points[-1][1]:.2f}" for curve, points in curves.items())
        print(f"{name:19}  mAP50 of 0.95 after {first:3.0f} TFLOP; at the end {last}")
    return map_figure(runs, "TFLOP of training")


def main(argv=None) -> int:
    return run_figure_script(draw, __file__, __doc__, argv)


if __name__ == "__main__":
    run_script(main)
