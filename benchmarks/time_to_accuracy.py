"""Say how long runs took to a given mAP50, and how they ended, from their TensorBoard logs.

    python benchmarks/time_to_accuracy.py log/*
    python benchmarks/time_to_accuracy.py log/yolov3_* --target 0.95

Minutes count from the start of the training, before the first step builds its graph, to the end of
the validation that reached the target: reading, validation and checkpoints are all in them. The
mAPs are those of the validation with the best mAP. Several runs of a network, such as three seeds,
have a row with their medians.
"""

import argparse
import statistics
from collections import defaultdict
from pathlib import Path

from benchmarks.timing import machine, print_table, versions
from tools.plot_training import read_runs
from yolov3.cli.run import import_tensorflow, run_script

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
    for network, columns in medians(runs).items():
        rows.append([f"{network}, median", *map(_text, columns)])
    header = ["run", f"minutes to mAP50 {args.target}", "minutes in all", "mAP50", "mAP75", "mAP"]
    print_table("Time to accuracy", header, rows)
    print(f"\nprinted on {machine()}; {versions('tensorflow', 'keras')}")
    return 0


def figures(curves, target: float) -> list[float]:
    """Return minutes to the target, minutes in all, and mAP50, mAP75 and mAP where mAP is best."""
    reached = [minutes for minutes, value in curves["mAP50"] if value >= target]
    maps = [[value for _, value in curves[name]] for name in ("mAP50", "mAP75", "mAP")]
    # Killed within a validation, a run has not logged all three of it.
    best = max(zip(*maps, strict=False), key=lambda values: values[-1])
    return [reached[0] if reached else NEVER, curves["mAP50"][-1][0], *best]


def medians(runs: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return the medians of the figures of each network that several runs trained.

    The name of a run starts with its network's: yolov3-tiny_20261124-101500.
    """
    by_network = defaultdict(list)
    for name, values in runs.items():
        by_network[Path(name).name.partition("_")[0]].append(values)
    return {
        network: [statistics.median(column) for column in zip(*rows, strict=True)]
        for network, rows in by_network.items()
        if len(rows) > 1
    }


def _text(value: float) -> str:
    return "not reached" if value == NEVER else f"{value:.3f}" if value < 1 else f"{value:.1f}"


if __name__ == "__main__":
    run_script(main)
