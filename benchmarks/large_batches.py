"""How learning rate and warm-up should follow the batch: mAP of YOLOv3-tiny on the digits.

    python benchmarks/large_batches.py                        13 trainings of 2 to 4 minutes each
    python benchmarks/large_batches.py --batches 4 64 --warmup-epochs 0.4 1 --seeds 0 1 2
    python benchmarks/large_batches.py --quick                32 px, one epoch: does it run?

Trains as `make demo` does, on mosaics of 224 px: with any batch the same images and operations, in
fewer steps. The learning rate of a batch of 4 is kept, scaled by the root of the larger batch, or
in proportion to it (Goyal et al. 2017, "Accurate, large minibatch SGD"), each after a warm-up of as
many epochs. Run mnist/make_data.py first. Checkpoints and logs go to a folder that is removed.
"""

import argparse
import contextlib
import csv
import itertools
import sys
import tempfile
from pathlib import Path
from statistics import median

import train
from benchmarks.timing import machine, print_table, versions
from tools.demo import TINY_FLAGS
from yolov3.cli.run import INTERRUPTED, import_tensorflow, run_script

BATCH, RATE = 4, 0.002  # of the demo
RULES = {"kept": 0.0, "root": 0.5, "linear": 1.0}  # the power of the larger batch
QUICK = ["--train-input-size", "32", "--train-input-scales", "1"]
MAPS = ("mAP50", "mAP75", "mAP")


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[4, 8, 16, 32, 64])
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--rate", type=float, default=RATE, help=f"of a batch of {BATCH}")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--warmup-epochs", type=float, nargs="+", default=[0.4])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="each row is a median")
    parser.add_argument("--quick", action="store_true", help="does it run?")
    args = parser.parse_args(argv)
    if args.quick:
        args.batches, args.rules, args.epochs = [4, 64], ["linear"], 1
    return args


def main(argv=None) -> int:
    args, rows = parse_args(argv), []
    import_tensorflow()
    for batch, rule, warmup in itertools.product(args.batches, args.rules, args.warmup_epochs):
        if batch == BATCH and rule != args.rules[0]:
            continue  # all rules agree
        rate = args.rate * (batch / BATCH) ** RULES[rule]
        flags = [f"--train-batch-size={batch}", f"--train-lr-init={rate:.6g}"]
        flags += [f"--train-epochs={args.epochs}", f"--train-warmup-epochs={warmup}"]
        flags += QUICK * args.quick
        ends = [last_row([*TINY_FLAGS, *flags, f"--seed={seed}"]) for seed in args.seeds]
        maps = ["diverged"] * len(MAPS)
        if all(ends):
            maps = [f"{median(float(end[name]) for end in ends):.3f}" for name in MAPS]
        steps = ends[0].get("step", "-")
        rows.append([str(batch), rule, f"{rate:.2g}", f"{warmup:g}", steps, *maps])
        print(" ".join(rows[-1]), file=sys.stderr, flush=True)
    header = ["batch", "rule", "learning rate", "warm-up, epochs", "steps", *MAPS]
    seeds = f"seeds {', '.join(map(str, args.seeds))}"
    print_table(f"YOLOv3-tiny on digits, {args.epochs} epochs, {seeds}", header, rows)
    print(f"\n{machine()}; {versions('tensorflow')}")
    return 0


def last_row(flags: list[str]) -> dict[str, str]:
    """Train; return the last line of results.csv, or nothing if the loss diverged."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        folders = ["--train-checkpoints-folder", f"{folder}/c", "--train-logdir", f"{folder}/log"]
        if code := train.main([*flags, *folders]):
            if code == INTERRUPTED:
                raise KeyboardInterrupt
            return {}
        [results] = Path(folder, "log").glob("*/results.csv")
        with results.open(newline="") as stream:
            return list(csv.DictReader(stream))[-1]


if __name__ == "__main__":
    run_script(main)
