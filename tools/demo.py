"""Train a digit detector from nothing and show its work: `make demo`, or `python tools/demo.py`.

Makes the digit images if they are missing, trains YOLOv3-tiny (`--model yolov3` for Darknet-53, as
train.py does), measures the mAP on the tutorial's test images and draws what is found in four of
them. YOLOv3-tiny learns from mosaics alone, for an eighth of the operations of a full training: see
docs/recipe.md. An interrupted training continues where it stopped, and a finished one is not
repeated, unless with `make demo FRESH=1` (`--fresh`). Flags for train.py follow after `--`.
"""

import contextlib
import json
import shlex
import shutil
import subprocess
import sys

from yolov3.cli.flags import Parser
from yolov3.cli.run import INTERRUPTED, run_script
from yolov3.configs import REPO

ANNOTATIONS = ("mnist/mnist_train.txt", "mnist/mnist_test.txt")
RESULTS = "demo"
REPORT = f"{RESULTS}/report"
TINY_FLAGS = [
    *("--tiny", "--train-epochs=4", "--train-input-scales=0.54", "--augment-close=0"),
    *("--train-lr-init=0.002", "--train-warmup-epochs=0.4"),
]


def parse_args(argv=None):
    parser = Parser(__doc__)
    parser.add_argument("--model", choices=("yolov3", "yolov3-tiny"), default="yolov3-tiny")
    parser.add_argument("--fresh", action="store_true", help="train from the start in any case")
    parser.add_argument("flags", nargs="*", metavar="-- FLAG", help="flags for train.py")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the steps one after another and return the exit code of the first that fails."""
    args = parse_args(argv)
    shutil.rmtree(REPO / REPORT, ignore_errors=True)  # of another run, maybe
    for script, *arguments in find_steps(args):
        print(f"\n$ {shlex.join(['python', script, *arguments])}", flush=True)
        if code := run(script, *arguments):
            print(f"demo stopped: {script} ended with exit code {code}", file=sys.stderr)
            if code == INTERRUPTED:
                print("Run the same command again to continue.", file=sys.stderr)
            return code
    print_summary(args.model)
    return 0


def find_steps(args) -> list[list[str]]:
    """Return what is left to do, each step a script and its arguments."""
    # One for each model, since the newest run in it must not be one of another network.
    folder = f"checkpoints/demo/{args.model}"
    steps = []
    if not all((REPO / name).exists() for name in ANNOTATIONS):
        steps.append(["mnist/make_data.py"])
    if not args.fresh and any((REPO / folder).glob("*/last-*")):
        print("Continues the training that is there, if it is not finished (anew: FRESH=1).")
        steps.append(["train.py", *args.flags, "--resume", folder])
    else:
        flags = [*(TINY_FLAGS if args.model == "yolov3-tiny" else []), *args.flags]
        flags += ["--train-checkpoints-folder", folder, "--train-logdir", f"log/demo/{args.model}"]
        steps.append(["train.py", *flags])
    weights = ["--weights", folder]
    images = ["--annotations", ANNOTATIONS[1]]
    scenes = ["--count", "4", "--seed", "1", "--output", f"{RESULTS}/detections"]
    steps.append(["evaluate_mAP.py", *weights, *images, "--report", REPORT])
    steps.append(["detect_mnist.py", *weights, *images, *scenes])
    return steps


def run(script: str, *arguments: str) -> int:
    """Run one script of the project and return its exit code, as a shell has it."""
    process = subprocess.Popen([sys.executable, script, *arguments], cwd=REPO)
    while process.returncode is None:
        # Ctrl-C reaches the script as well, which may now be saving its state: let it finish.
        with contextlib.suppress(KeyboardInterrupt):
            process.wait()
    # A negative code is the number of the signal that ended the script.
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def print_summary(model: str) -> None:
    """Print the figures of the evaluation and where the images are."""
    scores = json.loads((REPO / REPORT / "report.json").read_text(encoding="utf-8"))
    figures = "   ".join(f"{name} {scores[name]:.3f}" for name in ("mAP50", "mAP75", "mAP"))
    print(f"\n{model} on {scores['images']} test images:")
    print(f"  {figures}   ({REPORT}/report.html)")
    for image in sorted((REPO / RESULTS / "detections").iterdir()):
        print(f"  {image.relative_to(REPO)}")
    print("The curves of the training: make tensorboard, then http://localhost:6006")
    print(f"Another image: python detect.py IMAGE --weights checkpoints/demo/{model}")
    if model == "yolov3-tiny":
        reached = "mAP50 0.99 and mAP 0.82"
        print(f"A full training, 8 times as long, reaches {reached}: python train.py --tiny")


if __name__ == "__main__":
    run_script(main)
