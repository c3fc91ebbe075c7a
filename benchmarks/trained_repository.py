"""This repository as `others_on_bccd.py` trains it: `train.py --recipe images --tiny`."""

import csv
import shutil
import subprocess
import sys
from functools import cache

from yolov3.cli.run import import_tensorflow
from yolov3.configs import EVAL_SCORE_THRESHOLD, REPO
from yolov3.metrics import COCO_LIMIT


def train(args, started: float):
    """Return `detect(image_path) -> boxes_xyxy, scores, classes`, and facts about the run."""
    output = args.output.absolute()
    folder = output / args.serve
    for part in ("checkpoints", "log"):
        shutil.rmtree(folder / part, ignore_errors=True)
    flags = {
        "--recipe": "images",
        "--name": "bccd",
        "--max-minutes": args.minutes,
        "--seed": args.seed,
        "--precision": args.precision,
        "--train-classes": output / "bccd_train.names",
        "--train-annot-path": output / "bccd_train.txt",
        "--test-annot-path": output / "bccd_val.txt",
        "--train-checkpoints-folder": folder / "checkpoints",
        "--train-logdir": folder / "log",
    }
    if args.weights:  # the official anchors of tiny differ from those of today's cfg
        flags |= {"--weights": args.weights.absolute(), "--anchors": "yolov3-tiny-darknet"}
    words = [str(word) for pair in flags.items() for word in pair]
    subprocess.run([sys.executable, "train.py", "--tiny", *words], cwd=REPO, check=True)
    with open(folder / "log/bccd/results.csv") as results:
        facts = {"epochs": list(csv.DictReader(results))[-1]["epoch"], "precision": args.precision}

    @cache
    def detector():
        import_tensorflow(frozen_weights=True)
        from yolov3.detection import Detector

        best = Detector(folder / "checkpoints/bccd", score_threshold=EVAL_SCORE_THRESHOLD)
        return best.for_metrics(COCO_LIMIT)

    def detect(path):
        from yolov3.images import read_image

        return detector()(read_image(path))

    return detect, facts
