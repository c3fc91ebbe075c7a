"""Train a digit detector from nothing and look at its work: `make demo`, or `python tools/demo.py`.

Makes the digit images if they are missing, trains YOLOv3-tiny on them (`--model yolov3` for
Darknet-53), measures its mean average precision and draws what it finds in four test images. When
it was interrupted, it goes on where it stopped; a finished training is not done again, unless the
images or the settings have changed, or with `make demo FRESH=1` (`--fresh`).
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from demo_runs import Earlier, find_earlier, newest_run
from yolov3.annotations import parse_line
from yolov3.cli.run import INTERRUPTED, run_script
from yolov3.configs import Config

ROOT = Path(__file__).resolve().parents[1]
ANNOTATIONS = ("mnist/mnist_train.txt", "mnist/mnist_test.txt")
RESULTS = "demo"
# Minutes of training times number of cores: a server CPU with bfloat16, an older laptop.
CORE_MINUTES = {"yolov3-tiny": (23, 75), "yolov3": (90, 400)}


class StepError(Exception):
    """A command of the demo that failed, with its exit code."""

    def __init__(self, command: list[str], code: int):
        super().__init__(f"`{shlex.join(command)}` ended with exit code {code}")
        self.code = code


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=sorted(CORE_MINUTES), default="yolov3-tiny")
    parser.add_argument("--fresh", action="store_true", help="train anew in any case")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the steps one after another and return the exit code of the first that fails."""
    args = parse_args(argv)
    try:
        run_steps(args.model, args.fresh)
    except StepError as error:
        print(f"demo stopped: {error}", file=sys.stderr)
        if error.code == INTERRUPTED:
            print("The same command goes on from here.", file=sys.stderr)
        return error.code
    return 0


def run_steps(model: str, fresh: bool) -> None:
    """Make the data, train, evaluate and detect, as far as it is not done yet."""
    config = settings_of(model)
    is_ready = data_is_ready()
    earlier = Earlier()
    if is_ready and not fresh:
        files = [ROOT / name for name in ANNOTATIONS]
        earlier = find_earlier(ROOT / config.train_checkpoints_folder, config, files)
    print_plan(model, earlier)
    if is_ready:
        print("\nThe digit images are there already.", flush=True)
    else:
        run("mnist/make_data.py")
    spent = train(config, earlier)
    weights = str(newest_run(ROOT / config.train_checkpoints_folder).relative_to(ROOT))
    (ROOT / RESULTS).mkdir(exist_ok=True)
    run("evaluate_mAP.py", "--weights", weights, "--json", f"{RESULTS}/evaluation.json")
    images = ["--count", "4", "--seed", "1", "--output", f"{RESULTS}/detections"]
    run("detect_mnist.py", "--weights", weights, *images)
    print_summary(model, spent)


def settings_of(model: str) -> Config:
    """Return the settings of the training: the defaults, in folders of the demo's own.

    There is one for each model, since the newest run in it must not be one of another network.
    """
    return Config(
        tiny=model == "yolov3-tiny",
        train_checkpoints_folder=f"checkpoints/demo/{model}",
        train_logdir=f"log/demo/{model}",
    )


def data_is_ready() -> bool:
    """Tell whether both annotation files exist and point at images that exist.

    Their paths are absolute, so they lead nowhere after the project was moved. A line that cannot
    be read counts as ready: somebody edited it, and `train.py` says what is wrong with it.
    """
    for annotations in (ROOT / name for name in ANNOTATIONS):
        if not annotations.exists():
            return False
        with annotations.open(encoding="utf-8") as lines, suppress(ValueError):
            image, _, _ = parse_line(lines.readline())
            if not (annotations.parent / image).is_file():
                return False
    return True


def print_plan(model: str, earlier: Earlier) -> None:
    """Say what will be trained, and how long that takes here."""
    if earlier.unusable:
        print(f"The training of an earlier demo {earlier.unusable}, so this one trains anew.")
    if earlier.run and earlier.is_finished:
        print(f"{model} demo: it is trained already, in {earlier.run.relative_to(ROOT)};")
        print("to train it anew: make demo FRESH=1, or delete that folder.", flush=True)
        return
    cores = os.cpu_count() or 1
    low, high = (max(1, round(minutes / cores)) for minutes in CORE_MINUTES[model])
    print(f"{model} demo: some {low} to {high} minutes of training on these {cores} cores,")
    if earlier.run:
        print(f"less what is done: it goes on with {earlier.run.relative_to(ROOT)};")
        print("to start anew: make demo FRESH=1.", flush=True)
    else:
        print("less on a GPU; the training itself soon says more exactly.", flush=True)


def train(config: Config, earlier: Earlier) -> str:
    """Train anew, go on, or leave a finished training alone; return what that was, in words."""
    if earlier.run and earlier.is_finished:
        return "trained before"
    folders = [
        *("--train-checkpoints-folder", config.train_checkpoints_folder),
        *("--train-logdir", config.train_logdir),
    ]
    start = time.monotonic()
    if earlier.run:
        run("train.py", "--resume", str(earlier.run.relative_to(ROOT)))
    else:
        run("train.py", *(["--tiny"] if config.tiny else []), *folders)
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
    figures = "   ".join(f"{name} {scores[name]:.3f}" for name in ("AP50", "AP75", "AP"))
    print(f"\n{model}, {spent}, on {scores['images']} test images:")
    print(f"  {figures}   ({RESULTS}/evaluation.json)")
    found = sorted((ROOT / RESULTS).rglob("*.png")) + sorted((ROOT / RESULTS).rglob("*.jpg"))
    for image in found:
        print(f"  {image.relative_to(ROOT)}")
    print("The curves of the training: make tensorboard, then http://localhost:6006")
    print(f"Another image: python detect.py IMAGE --weights checkpoints/demo/{model}")


if __name__ == "__main__":
    run_script(main)
