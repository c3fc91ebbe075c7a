"""Compare runs: settings, time and mAP in one table, and their curves in shared panels.

    python tools/compare_runs.py log/*
    python tools/compare_runs.py log/lr-* --target 0.95 --output curves.png

Runs that differ in nothing but their seed are a group; the best comes first. Below the table stands
whether the others are worse than it by more than a seed changes: if the ranges of their mAP
overlap, nobody can tell. The data of a run are its annotations, their images, and the beginning of
a checksum of names and boxes. mAPs are of the best validation at the largest input size, whose
checkpoint is kept, with its best score threshold; minutes and TFLOP are of the whole training. A
TFLOP is 10^12 operations of the convolutions, forward and backward, a measure that no machine
changes.
"""

import csv
import dataclasses
import math
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from yolov3.checkpoints import CONFIG
from yolov3.cli.flags import Parser, fraction, spelled
from yolov3.cli.run import run_script
from yolov3.configs import ANCHOR_PRESETS, Config
from yolov3.files import read_json
from yolov3.text import counted, listed

RESULTS, DATA = "results.csv", "data.json"  # beside the config.json of a run
MAPS = ("mAP50", "mAP75", "mAP")
COLUMNS = ("epoch", "minutes", "tflop", "input_size", *MAPS, "best_threshold")
EARLIER = {"tflop": "nan", "best_threshold": "nan"}  # which logs of earlier versions lack
# Where things are, and data, which their checksums tell: none makes a run another one.
PLACES = dict.fromkeys(("train_classes", "train_annot_path"), "-")
PLACES |= dict.fromkeys(("test_annot_path", "train_logdir", "train_checkpoints_folder"), "")
MOST_DRAWN = 6  # groups: as many colours
GAP = (float("nan"), float("nan"))  # in a curve


class Run(NamedTuple):
    """What a log folder says of a run."""

    name: str
    config: Config
    images: int
    data: tuple[str, str]  # checksums of what it was trained on and validated on
    rows: list[dict[str, float]]  # validations: `COLUMNS`

    @property
    def best(self) -> dict[str, float]:
        """The validation whose checkpoint is kept."""
        return max(reversed(self.rows), key=lambda row: (row["input_size"], row["mAP"]))


def parse_args(argv=None):
    parser = Parser(__doc__)
    parser.add_argument("logs", nargs="+", metavar="LOG", help="log folder of runs")
    target = "add minutes and TFLOP to the first validation with this mAP50 (inf: never)"
    parser.add_argument("--target", type=fraction, metavar="X", help=target)
    parser.add_argument("--output", default="runs.png", metavar="PNG", help="default: runs.png")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    groups = group_runs(read_runs(args.logs))
    numbered = [(str(number), run) for number, group in enumerate(groups, 1) for run in group]
    print_table([{"group": number} | cells(run, args.target) for number, run in numbered])
    print("", *(verdict(number, groups) for number in range(1, len(groups) + 1)), sep="\n")
    draw(groups, args.output)
    print(f"saved {args.output}")
    return 0


def read_runs(logs: list[str]) -> list[Run]:
    """Return the runs in or below some folders; name those on stderr that cannot be read.

    Raises ValueError where nothing remains.
    """
    runs: dict[str, Run] = {}
    for folder in sorted({path.parent for log in logs for path in Path(log).rglob(RESULTS)}):
        name = str(folder) if folder.name in runs else folder.name
        try:
            runs[name] = read_run(folder)._replace(name=name)
        except ValueError as error:
            print(f"skipped: {error}", file=sys.stderr)
    if not runs:
        raise ValueError(f"{' '.join(logs)}: no logs of runs with a validation")
    return list(runs.values())


def read_run(folder: Path) -> Run:
    """Read the log folder of a run. Raises ValueError without a validation, and for other files."""
    try:
        with (folder / RESULTS).open(newline="") as stream:
            written = [EARLIER | row for row in csv.DictReader(stream)]
        rows = [{key: float(row[key]) for key in COLUMNS} for row in written]
        config, data = Config.from_json(folder / CONFIG), read_json(folder / DATA)
        checksums = str(data["trained_on"]), str(data["validated_on"])
        run = Run(folder.name, config, int(data["images"]), checksums, rows)
    except (KeyError, TypeError, OSError, ValueError) as error:
        raise ValueError(f"{folder}: damaged, or of an earlier version: {error!r}") from None
    if not rows:
        raise ValueError(f"{folder}: no validation yet")
    rows[:] = (row for row in rows if row["mAP"] >= 0)  # NaN: no box to find
    if not rows:
        raise ValueError(f"{folder}: no mAP, as its validation images have no boxes")
    return run


def group_runs(runs: list[Run]) -> list[list[Run]]:
    """Return the groups that differ in nothing but the seed, the highest median mAP first."""
    groups = defaultdict(list)
    for run in runs:
        groups[dataclasses.replace(run.config, seed=0, **PLACES), run.data].append(run)
    return sorted(groups.values(), key=lambda group: -statistics.median(maps(group)))


def maps(group: list[Run]) -> list[float]:
    """Return the mAP of each run."""
    return [run.best["mAP"] for run in group]


def cells(run: Run, target: float | None) -> dict[str, str]:
    """Return the texts of a run's row in the table by their columns, with all settings."""
    presets = {anchors: name for name, anchors in ANCHOR_PRESETS.items()}
    settings = vars(run.config) | {"anchors": presets.get(run.config.anchors, "own")}
    data = f"{Path(run.config.train_annot_path).stem} {run.images:,} {run.data[0][:4]}"
    row = {"run": run.name, "network": run.config.network, "data": data}
    for name, value in settings.items():
        if name not in {"tiny", *PLACES}:
            row[name] = f"{value:g}" if isinstance(value, float) else spelled(value)  # 0.0 is 0
    ends = {"": run.rows[-1]}
    if target is not None:
        reached = (row for row in run.rows if row["mAP50"] >= target)
        ends[f" to {target:g}"] = next(reached, {"minutes": math.inf, "tflop": math.inf})
    for to, end in ends.items():
        row |= {f"minutes{to}": f"{end['minutes']:.1f}", f"TFLOP{to}": f"{end['tflop']:.1f}"}
    row |= {x: f"{run.best[x]:.3f}" for x in MAPS}
    row["threshold"] = f"{run.best['best_threshold']:.2f}"
    return {name: "-" if text == "nan" else text for name, text in row.items()}


def print_table(rows: list[dict[str, str]]) -> None:
    """Print rows under their names, without the settings that do not differ."""
    settings = Config.__dataclass_fields__
    names = [x for x in rows[0] if x not in settings or len({row[x] for row in rows}) > 1]
    lines = [names, *([row[name] for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(map(str.ljust, line, widths)).rstrip())


def verdict(number: int, groups: list[list[Run]]) -> str:
    """Say how the mAP of a group varies, and whether it is below that of the first."""
    both = groups[number - 1], groups[0]
    values, best = map(maps, both)
    # One that was run twice counts once: the second run may be equal to the last bit.
    seeds, best_seeds = (len({run.config.seed for run in group}) for group in both)
    spread = f"{counted(seeds, 'seed')}, {min(values):.3f} to {max(values):.3f}"
    line = f"group {number}: median mAP {statistics.median(values):.3f} ({spread})"
    if number == 1:
        return line
    if groups[number - 1][0].data[1] != groups[0][0].data[1]:
        return f"{line}, validated on other images: nobody can compare it with group 1"
    if max(values) >= min(best):
        return f"{line}, overlaps with group 1: seeds alone may make the difference"
    chance = 2 / math.comb(seeds + best_seeds, seeds)  # of either order
    return f"{line}, all below group 1; with equal settings that happens in {chance:.0%} of cases"


def draw(groups: list[list[Run]], path: str) -> None:
    """Draw each mAP in a panel, with a colour for each of the best groups."""
    import matplotlib

    from yolov3.plots import STYLE, map_figure, save_figure

    panels = {name: {} for name in MAPS}
    for number, group in enumerate(groups[:MOST_DRAWN], 1):
        label = f"{number}: {listed([run.name for run in group], 1)}"
        for name, curves in panels.items():
            points = [[(row["tflop"], row[name]) for row in run.rows] for run in group]
            curves[label] = [point for x in points for point in (*x, GAP)]
    with matplotlib.rc_context(STYLE):
        save_figure(map_figure(panels, "TFLOP of training"), path)


if __name__ == "__main__":
    run_script(main)
