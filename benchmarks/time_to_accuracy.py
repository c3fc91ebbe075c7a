"""Say how long runs took to a given mAP50, and how they ended, from their TensorBoard logs.

    python benchmarks/time_to_accuracy.py log/*
    python benchmarks/time_to_accuracy.py log/yolov3_* --target 0.95

Minutes count from the start of the training, before the first step builds its graph, to the end of
the validation that reached the target: reading, validation and checkpoints are all in them. With
several runs, such as three seeds, the last row is their median.
"""

import argparse
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from benchmarks.timing import machine, print_table, versions  # noqa: E402
from plot_training import read_runs  # noqa: E402
from yolov3.scripts.cli import import_tensorflow, run_script  # noqa: E402

NEVER = float("inf")


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("logs", nargs="+", metavar="LOG", help="log folder of runs")
    parser.add_argument(
        "--target", type=float, default=0.95, help="mAP50 to reach, default %(default)s"
    )
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    import_tensorflow()
    runs = {name: figures(run, args.target) for name, run in read_runs(args.logs).items()}
    rows = [[name, *map(_text, values)] for name, values in runs.items()]
    if len(runs) > 1:
        columns = zip(*runs.values(), strict=True)
        rows.append(["median", *(_text(statistics.median(column)) for column in columns)])
    header = ["run", f"minutes to mAP50 {args.target}", "minutes in all", "mAP50", "mAP75"]
    print_table("Time to accuracy", header, rows)
    print(f"\nprinted on {machine()}; {versions('tensorflow', 'keras')}")
    return 0


def figures(curves, target: float) -> list[float]:
    """Return minutes to the target, minutes in all, and the last mAP50 and mAP75 of a run."""
    map50, map75 = curves["mAP50"], curves["mAP75"]
    reached = [minutes for minutes, value in map50 if value >= target]
    return [reached[0] if reached else NEVER, map50[-1][0], map50[-1][1], map75[-1][1]]


def _text(value: float) -> str:
    return "not reached" if value == NEVER else f"{value:.3f}" if value < 1 else f"{value:.1f}"


if __name__ == "__main__":
    run_script(main)
