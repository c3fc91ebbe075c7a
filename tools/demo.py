"""Train a digit detector from nothing and look at its work: `make demo`, or `python tools/demo.py`.

Makes the digit pictures if they are missing, trains YOLOv3-tiny on them (`--model yolov3` for
Darknet-53), measures its mean average precision and draws what it finds in four test pictures.
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

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from yolov3.annotation_line import parse_line  # noqa: E402

ANNOTATIONS = ("mnist/mnist_train.txt", "mnist/mnist_test.txt")
RESULTS = "demo"
# Minutes of training times number of cores: a recent server CPU, an older laptop.
CORE_MINUTES = {"yolov3-tiny": (20, 60), "yolov3": (100, 400)}


class StepError(Exception):
    """A command of the demo that failed, with its exit code."""

    def __init__(self, command: list[str], code: int):
        super().__init__(f"`{shlex.join(command)}` ended with exit code {code}")
        self.code = code


def main() -> int:
    """Run the steps one after another and return the exit code of the first that fails."""
    args = parse_args()
    cores = os.cpu_count() or 1
    low, high = (max(1, round(minutes / cores)) for minutes in CORE_MINUTES[args.model])
    print(f"{args.model} demo: some {low} to {high} minutes of training on these {cores} cores,")
    print("less on a GPU; the training itself soon says more exactly.", flush=True)
    try:
        minutes = run_steps(args.model)
    except StepError as error:
        print(f"demo stopped: {error}", file=sys.stderr)
        return error.code
    print_summary(args.model, minutes)
    return 0


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", choices=sorted(CORE_MINUTES), default="yolov3-tiny")
    return parser.parse_args()


def run_steps(model: str) -> float:
    """Make the data, train, evaluate and detect; return the minutes spent in training."""
    # A folder per model: the best checkpoint must not be one of another network.
    checkpoints, logs = f"checkpoints/demo/{model}", f"log/demo/{model}"
    if data_is_ready():
        print("\nThe digit pictures are there already.", flush=True)
    else:
        run("mnist/make_data.py")
    start = time.monotonic()
    tiny = ["--tiny"] if model == "yolov3-tiny" else []
    run("train.py", *tiny, "--train-checkpoints-folder", checkpoints, "--train-logdir", logs)
    minutes = (time.monotonic() - start) / 60
    (ROOT / RESULTS).mkdir(exist_ok=True)
    run("evaluate_mAP.py", "--weights", checkpoints, "--json", f"{RESULTS}/evaluation.json")
    pictures = ["--count", "4", "--seed", "1", "--output", f"{RESULTS}/detections"]
    run("detect_mnist.py", "--weights", checkpoints, *pictures)
    return minutes


def data_is_ready() -> bool:
    """Tell whether both annotation files exist and point at pictures that exist.

    Their paths are absolute, so they lead nowhere after the project was moved. A line that cannot
    be read counts as ready: somebody edited it, and `train.py` says what is wrong with it.
    """
    for annotations in (ROOT / name for name in ANNOTATIONS):
        if not annotations.exists():
            return False
        with annotations.open(encoding="utf-8") as lines, suppress(ValueError):
            picture, _, _ = parse_line(lines.readline())
            if not (annotations.parent / picture).is_file():
                return False
    return True


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


def print_summary(model: str, minutes: float) -> None:
    """Print the figures of the evaluation and where the pictures are."""
    scores = json.loads((ROOT / RESULTS / "evaluation.json").read_text(encoding="utf-8"))
    figures = "   ".join(f"{name} {scores[name]:.3f}" for name in ("AP50", "AP75", "AP"))
    print(f"\n{model}, {minutes:.1f} minutes of training, on {scores['images']} test pictures:")
    print(f"  {figures}   ({RESULTS}/evaluation.json)")
    found = sorted((ROOT / RESULTS).rglob("*.png")) + sorted((ROOT / RESULTS).rglob("*.jpg"))
    for picture in found:
        print(f"  {picture.relative_to(ROOT)}")
    print("The curves of the training: make tensorboard, then http://localhost:6006")


if __name__ == "__main__":
    sys.exit(main())
