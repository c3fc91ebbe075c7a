"""Train a digit detector from nothing and show its work: `make demo`, or `python tools/demo.py`.

Makes the digit images if they are missing, trains YOLOv3-tiny on them (`--model yolov3` for
Darknet-53), measures its mAP and draws what it finds in four test images. An interrupted training
continues where it stopped, and a finished one is not repeated, unless the images or the settings
have changed, or with `make demo FRESH=1` (`--fresh`). Flags for train.py follow after `--`.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import train
from yolov3.annotations import parse_line
from yolov3.checkpoints import find_checkpoint
from yolov3.cli.flags import Parser, config_from_flags
from yolov3.cli.run import INTERRUPTED, run_script
from yolov3.configs import Config, changed_settings

ROOT = Path(__file__).resolve().parents[1]
ANNOTATIONS = ("mnist/mnist_train.txt", "mnist/mnist_test.txt")
RESULTS = "demo"
# Minutes of training times number of cores: a server CPU with bfloat16, an older laptop.
CORE_MINUTES = {"yolov3-tiny": (23, 75), "yolov3": (90, 400)}


class Earlier(NamedTuple):
    """The newest run of an earlier demo, and whether its last epoch was finished and validated.

    Without a usable run, `run` is None; `unusable` then says why, or is empty if there is none.
    """

    run: Path | None = None
    is_finished: bool = False
    unusable: str = ""


class StepError(Exception):
    """A command of the demo that failed, with its exit code."""

    def __init__(self, command: list[str], code: int):
        super().__init__(f"`{shlex.join(command)}` ended with exit code {code}")
        self.code = code


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; its flags of train.py get folders of the demo's own before them.

    There is one for each model, since the newest run in it must not be one of another network.
    """
    parser = Parser(__doc__)
    parser.add_argument("--model", choices=sorted(CORE_MINUTES), default="yolov3-tiny")
    parser.add_argument("--fresh", action="store_true", help="train from the start in any case")
    parser.add_argument("flags", nargs="*", metavar="-- FLAG", help="flags for train.py")
    args = parser.parse_args(argv)
    args.train_flags = [
        *(["--tiny"] if args.model == "yolov3-tiny" else []),
        *("--train-checkpoints-folder", f"checkpoints/demo/{args.model}"),
        *("--train-logdir", f"log/demo/{args.model}"),
        *args.flags,
    ]
    return args


def main(argv: list[str] | None = None) -> int:
    """Run the steps one after another and return the exit code of the first that fails."""
    args = parse_args(argv)
    try:
        run_steps(args)
    except StepError as error:
        print(f"demo stopped: {error}", file=sys.stderr)
        if error.code == INTERRUPTED:
            print("Run the same command again to continue.", file=sys.stderr)
        return error.code
    return 0


def run_steps(args: argparse.Namespace) -> None:
    """Make the data, train, evaluate and detect, as far as it is not done yet."""
    config = config_from_flags(train.parse_args(args.train_flags))
    has_data = data_is_ready()
    earlier = find_earlier(config) if has_data and not args.fresh else Earlier()
    print_plan(args, earlier)
    if has_data:
        print("\nThe digit images are there already.", flush=True)
    else:
        run("mnist/make_data.py")
    spent = run_training(args.train_flags, earlier)
    weights = ["--weights", config.train_checkpoints_folder]
    (ROOT / RESULTS).mkdir(exist_ok=True)
    run("evaluate_mAP.py", *weights, "--json", f"{RESULTS}/evaluation.json")
    images = ["--count", "4", "--seed", "1", "--output", f"{RESULTS}/detections"]
    run("detect_mnist.py", *weights, *images)
    print_summary(args.model, spent)


def data_is_ready() -> bool:
    """Tell whether both annotation files exist and point at images that exist.

    Their paths are absolute, so they lead nowhere after the project was moved. A line that cannot
    be read counts as ready: somebody edited it, and train.py says what is wrong with it.
    """
    for annotations in (ROOT / name for name in ANNOTATIONS):
        if not annotations.exists():
            return False
        with annotations.open(encoding="utf-8") as lines:
            try:
                image, _, _ = parse_line(lines.readline())
            except ValueError:
                continue
        if not (annotations.parent / image).is_file():
            return False
    return True


def find_earlier(config: Config) -> Earlier:
    """Look for a run of these settings on the digit images that are there now."""
    try:
        checkpoint = find_checkpoint(ROOT / config.train_checkpoints_folder, kind="last")
    except ValueError:
        return Earlier()
    changed = changed_settings(checkpoint.config, config)
    if changed:
        return Earlier(unusable=f"had other settings ({', '.join(changed)})")
    saved = checkpoint.path.stat().st_mtime
    if any((ROOT / name).stat().st_mtime > saved for name in ANNOTATIONS):
        return Earlier(unusable="is older than the digit images")
    return Earlier(checkpoint.path.parent, checkpoint.epoch >= config.train_epochs)


def print_plan(args: argparse.Namespace, earlier: Earlier) -> None:
    """Say what will be trained, and how long that takes here."""
    if earlier.unusable:
        print(f"The training of an earlier demo {earlier.unusable}: this one starts again.")
    if earlier.run:
        done = "is trained already" if earlier.is_finished else "continues the training"
        print(f"{args.model} {done} in {earlier.run.relative_to(ROOT)}")
        print("(to train from the start: make demo FRESH=1).", flush=True)
    if not earlier.is_finished and not args.flags:
        cores = os.cpu_count() or 1
        low, high = (max(1, round(minutes / cores)) for minutes in CORE_MINUTES[args.model])
        print(f"Training {args.model} takes {low} to {high} minutes on {cores} cores, less on a")
        print("GPU; the training itself soon says more exactly.", flush=True)


def run_training(flags: list[str], earlier: Earlier) -> str:
    """Train, continue, or leave a finished training alone; return what that was, in words."""
    if earlier.is_finished:
        return "trained before"
    start = time.monotonic()
    resume = ["--resume", str(earlier.run.relative_to(ROOT))] if earlier.run else flags
    run("train.py", *resume)
    minutes = (time.monotonic() - start) / 60
    return f"{minutes:.1f} {'more ' if earlier.run else ''}minutes of training"


def run(script: str, *arguments: str) -> None:
    """Print and run one script of the project; raise `StepError` unless it succeeds."""
    print(f"\n$ {shlex.join(['python', script, *arguments])}", flush=True)
    process = subprocess.Popen([sys.executable, script, *arguments], cwd=ROOT)
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:
            # Ctrl-C reaches the script as well, which may now be saving its state: let it finish.
            continue
    if code:
        # A negative code is the number of the signal that ended the script, as in a shell.
        raise StepError(["python", script, *arguments], code if code > 0 else 128 - code)


def print_summary(model: str, spent: str) -> None:
    """Print the figures of the evaluation and where the images are."""
    scores = json.loads((ROOT / RESULTS / "evaluation.json").read_text(encoding="utf-8"))
    figures = "   ".join(f"{name} {scores[name]:.3f}" for name in ("mAP50", "mAP75", "mAP"))
    print(f"\n{model}, {spent}, on {scores['images']} test images:")
    print(f"  {figures}   ({RESULTS}/evaluation.json)")
    for image in sorted((ROOT / RESULTS / "detections").iterdir()):
        print(f"  {image.relative_to(ROOT)}")
    print("The curves of the training: make tensorboard, then http://localhost:6006")
    print(f"Another image: python detect.py IMAGE --weights checkpoints/demo/{model}")


if __name__ == "__main__":
    run_script(main)
