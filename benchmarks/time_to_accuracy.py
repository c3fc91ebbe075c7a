"""Say what runs took to a given mAP50, and how they ended, from their TensorBoard logs.

    python benchmarks/time_to_accuracy.py log/*
    python benchmarks/time_to_accuracy.py log/yolov3_* --target 0.95

TFLOP are 10^12 operations of the convolutions in all training steps, forward and backward: a
measure that no machine changes. Steps that a resumed run did twice count once. Minutes count from
the start of the training, before the first step builds its graph, to the end of the validation that
reached the target: reading, validation and checkpoints are all in them. The share is that of the
operations in these minutes in what the machine multiplies meanwhile as a large matrix product; it
holds only on the machine that trained. The mAPs are those of the validation with the best mAP.
Several runs of a network, such as three seeds, have a row with their medians.
"""

import argparse
import functools
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from benchmarks.matrix_rate import MULTIPLICATIONS_PER_STEP, gigaflops, multiplication_rate
from benchmarks.timing import machine, print_table, versions
from tools.plot_training import MAPS, read_runs
from yolov3.cli.run import import_tensorflow, run_script
from yolov3.configs import SIZE_MULTIPLE

LOG_FILES = "events.out.tfevents.*"
TAGS = {f"mAP/{label}": label for label in MAPS}
NEVER, PRODUCTS = float("inf"), 15
SETTINGS, CLASS_NAMES, INPUT_SIZE = "config", "class_names", "train/input_size"


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("logs", nargs="+", metavar="LOG", help="log folder of runs")
    parser.add_argument(
        "--target", type=float, default=0.95, help="mAP50 to reach, default %(default)s"
    )
    parser.add_argument(
        "--matrix-rate",
        type=float,
        metavar="GFLOPS",
        help="of the machine that trained; default: measured here, in the precision of the run",
    )
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    import_tensorflow()
    rate = functools.cache(lambda precision: args.matrix_rate or measured_rate(precision))
    runs = {
        name: figures(points, args.target, rate)
        for name, points in read_runs(args.logs, LOG_FILES, read_run).items()
    }
    rows = [[name, *map(_text, values)] for name, values in runs.items()]
    for network, columns in medians(runs).items():
        rows.append([f"{network}, median", *map(_text, columns)])
    header = ["run", f"TFLOP to mAP50 {args.target}", "TFLOP in all"]
    header += [f"minutes to mAP50 {args.target}", "minutes in all", "share of the matrix rate"]
    print_table("Time to accuracy", [*header, "mAP50", "mAP75", "mAP"], rows)
    print(f"\nprinted on {machine()}; {versions('tensorflow', 'keras')}")
    return 0


class Point(NamedTuple):
    """A value in a log: a number or a text; None for tags that nobody asked for."""

    step: int
    minutes: float  # of training
    tag: str
    value: float | bytes | None


def read_points(log_folder: Path, tags) -> list[Point]:
    """Return what a log says of some tags, in the order of the steps.

    Time counts up to the step that a run was resumed at, and on from there.
    """
    import tensorflow as tf
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    points = []
    files = sorted(log_folder.glob(LOG_FILES))
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


def read_run(log_folder: Path) -> list[Point]:
    """Return the points of a run's log. Raises ValueError if it lacks what `figures` needs."""
    points = read_points(log_folder, {*TAGS, SETTINGS, CLASS_NAMES, INPUT_SIZE})
    if missing := {*TAGS, SETTINGS, CLASS_NAMES, INPUT_SIZE} - {point.tag for point in points}:
        raise ValueError(f"{log_folder}: the log has no {', '.join(sorted(missing))}")
    return points


def figures(points: list[Point], target: float, rate) -> list[float]:
    """Return TFLOP and minutes to the target and in all, the share, and the best mAPs.

    `rate(precision)` is the matrix rate in GFLOP/s.
    """
    tflop, maps, reached = 0.0, defaultdict(list), (NEVER, NEVER)
    for point in points:
        if point.tag == SETTINGS:
            settings = _settings(point.value.decode())
        elif point.tag == CLASS_NAMES:
            classes = len(_unquoted(point.value).splitlines())
        elif point.tag == INPUT_SIZE:
            pixels = settings["train_batch_size"] * point.value**2
            tflop += pixels * flop_per_pixel(settings["tiny"], classes) / 1e12
        elif point.tag in TAGS:
            maps[TAGS[point.tag]].append(point.value)
            if point.tag == "mAP/mAP50":
                whole = tflop, point.minutes
                reached = min(reached, whole) if point.value >= target else reached
    # Killed within a validation, a run has not logged all three of it.
    best = max(zip(*map(maps.get, TAGS.values()), strict=False), key=lambda values: values[-1])
    share = 1000 * whole[0] / (60 * whole[1]) / rate(settings["precision"])
    return [reached[0], whole[0], reached[1], whole[1], share, *best]


@functools.cache
def flop_per_pixel(tiny: bool, num_classes: int) -> float:
    """Return the operations of a training step by pixel of its images: the same at every size."""
    work = 1e9 * gigaflops(SIZE_MULTIPLE, tiny, num_classes) / SIZE_MULTIPLE**2
    return MULTIPLICATIONS_PER_STEP * work


def measured_rate(precision: str) -> float:
    """Return this machine's matrix rate in GFLOP/s; "auto" is the precision it would train in."""
    from yolov3.kernels.hardware import choose_precision

    return multiplication_rate(choose_precision(precision), PRODUCTS)


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


def _settings(table: str) -> dict:
    """Return the settings of the table in Markdown that a log has."""
    rows = (line.split(" | ")[:2] for line in table.splitlines()[2:])
    return {name.strip("*"): json.loads(value.strip("`")) for name, value in rows}


def _unquoted(text: bytes) -> str:
    return text.decode().removeprefix("```\n").removesuffix("\n```")


def _text(value: float) -> str:
    return "not reached" if value == NEVER else f"{value:.3f}" if value < 1 else f"{value:.1f}"


if __name__ == "__main__":
    run_script(main)
