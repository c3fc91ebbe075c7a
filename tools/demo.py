"""Train a digit detector from nothing and show its work: `make demo`, or `python tools/demo.py`.

Makes the digit images if they are missing, trains YOLOv3-tiny (`--model yolov3` for Darknet-53, as
train.py does), measures the mAP on the tutorial's test images and draws what is found in four of
them. YOLOv3-tiny learns from mosaics alone, for an eighth of the operations of a full training: see
docs/recipe.md. An interrupted training continues where it stopped, and a finished one is not
repeated, unless the settings have changed, or with `make demo FRESH=1` (`--fresh`). Flags for
train.py follow after `--`.
"""

import argparse
import contextlib
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import train
from yolov3.checkpoints import Checkpoint, find_checkpoint
from yolov3.cli.flags import Parser, config_from_flags
from yolov3.cli.run import INTERRUPTED, run_script
from yolov3.configs import Config, changed_settings

ROOT = Path(__file__).resolve().parents[1]
ANNOTATIONS = ("mnist/mnist_train.txt", "mnist/mnist_test.txt")
RESULTS = "demo"
REPORT = f"{RESULTS}/report"
TINY_FLAGS = [
    *("--tiny", "--train-epochs=4", "--train-input-scales=0.54", "--augment-close=0"),
    *("--train-lr-init=0.002", "--train-warmup-epochs=0.4"),
]
PLANNED = {"train_epochs", "train_input_scales", "train_warmup_epochs"}  # by --max-minutes
FULL_TRAINING = (
    "A full training, 8 times as long, reaches mAP50 0.99 and mAP 0.81: python train.py --tiny"
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; its flags of train.py get folders of the demo's own before them.

    There is one for each model, since the newest run in it must not be one of another network.
    """
    parser = Parser(__doc__)
    parser.add_argument("--model", choices=("yolov3", "yolov3-tiny"), default="yolov3-tiny")
    parser.add_argument("--fresh", action="store_true", help="train from the start in any case")
    parser.add_argument("flags", nargs="*", metavar="-- FLAG", help="flags for train.py")
    args = parser.parse_args(argv)
    args.train_flags = [
        *(TINY_FLAGS if args.model == "yolov3-tiny" else []),
        *("--train-checkpoints-folder", f"checkpoints/demo/{args.model}"),
        *("--train-logdir", f"log/demo/{args.model}"),
        *args.flags,
    ]
    return args


def main(argv: list[str] | None = None) -> int:
    """Run the steps one after another and return the exit code of the first that fails."""
    args = parse_args(argv)
    config = config_from_flags(train.parse_args(args.train_flags))
    shutil.rmtree(ROOT / REPORT, ignore_errors=True)  # of another run, maybe
    for script, *arguments in find_steps(args, config):
        print(f"\n$ {shlex.join(['python', script, *arguments])}", flush=True)
        if code := run(script, *arguments):
            print(f"demo stopped: {script} ended with exit code {code}", file=sys.stderr)
            if code == INTERRUPTED:
                print("Run the same command again to continue.", file=sys.stderr)
            return code
    print_summary(args.model)
    return 0


def find_steps(args: argparse.Namespace, config: Config) -> list[list[str]]:
    """Return what is left to do, each step a script and its arguments, and say what is trained."""
    earlier = None if args.fresh else find_earlier(config)
    steps = []
    if not all((ROOT / name).exists() for name in ANNOTATIONS):
        steps.append(["mnist/make_data.py"])
    if earlier is None:
        steps.append(["train.py", *args.train_flags])
    elif earlier.epoch < earlier.config.train_epochs:
        print(f"Continues the training in {earlier.path.parent} (from the start: FRESH=1).")
        steps.append(["train.py", "--resume", str(earlier.path.parent)])
    else:
        print(f"Trained already in {earlier.path.parent} (from the start: FRESH=1).")
    weights = ["--weights", config.train_checkpoints_folder]
    images = ["--annotations", ANNOTATIONS[1]]
    scenes = ["--count", "4", "--seed", "1", "--output", f"{RESULTS}/detections"]
    steps.append(["evaluate_mAP.py", *weights, *images, "--report", REPORT])
    steps.append(["detect_mnist.py", *weights, *images, *scenes])
    return steps


def find_earlier(config: Config) -> Checkpoint | None:
    """Return the last checkpoint of an earlier demo if it has these settings, else say why not."""
    try:
        checkpoint = find_checkpoint(ROOT / config.train_checkpoints_folder, kind="last")
    except ValueError:
        return None
    is_planned = 0 < config.max_minutes == checkpoint.config.max_minutes
    changed = changed_settings(checkpoint.config, config)
    if changed := [name for name in changed if not (is_planned and name in PLANNED)]:
        print(f"An earlier demo had other settings ({', '.join(changed)}): this one starts again.")
        return None
    return checkpoint


def run(script: str, *arguments: str) -> int:
    """Run one script of the project and return its exit code, as a shell has it."""
    process = subprocess.Popen([sys.executable, script, *arguments], cwd=ROOT)
    while process.returncode is None:
        # Ctrl-C reaches the script as well, which may now be saving its state: let it finish.
        with contextlib.suppress(KeyboardInterrupt):
            process.wait()
    # A negative code is the number of the signal that ended the script.
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def print_summary(model: str) -> None:
    """Print the figures of the evaluation and where the images are."""
    scores = json.loads((ROOT / REPORT / "report.json").read_text(encoding="utf-8"))
    figures = "   ".join(f"{name} {scores[name]:.3f}" for name in ("mAP50", "mAP75", "mAP"))
    print(f"\n{model} on {scores['images']} test images:")
    print(f"  {figures}   ({REPORT}/report.html)")
    for image in sorted((ROOT / RESULTS / "detections").iterdir()):
        print(f"  {image.relative_to(ROOT)}")
    print("The curves of the training: make tensorboard, then http://localhost:6006")
    print(f"Another image: python detect.py IMAGE --weights checkpoints/demo/{model}")
    if model == "yolov3-tiny":
        print(FULL_TRAINING)


if __name__ == "__main__":
    run_script(main)
