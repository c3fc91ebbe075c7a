"""Train this repository and other detectors on photographs of cells for the same minutes.

    python benchmarks/others_on_bccd.py data/bccd --minutes 30
    python benchmarks/others_on_bccd.py data/bccd --minutes 30 \\
        --weights model_data/yolov3-tiny.weights --only repository ultralytics
    python benchmarks/others_on_bccd.py data/bccd --minutes 1    a trial: does it run?

docs/photographs.md says where the images come from; benchmarks/requirements-others.txt has the
other trainers. One trains after another, each in a process of its own, on all cores and in the
precision that this repository chooses for the machine. The minutes include its imports and its
validations. All see the same training and validation images, and are judged by the same 72 test
images, in pixels of the original, by pycocotools. Without --weights or --backbone all start from
random weights. The files of each are in --output, with what it printed.
"""

import argparse
import contextlib
import importlib
import io
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.timing import machine, print_table, versions
from yolov3.cli.run import import_tensorflow, run_script
from yolov3.configs import REPO

ENGINES = {  # the table's row, and where `train(args, started)` is
    "repository": ("this repository, YOLOv3-tiny", "benchmarks.trained_repository"),
    "ultralytics": ("Ultralytics, YOLOv3-tiny", "benchmarks.trained_ultralytics"),
    "ssdlite": ("torchvision, SSDLite320 MobileNetV3", "benchmarks.trained_torchvision"),
    "fasterrcnn": ("torchvision, Faster R-CNN MobileNetV3 320", "benchmarks.trained_torchvision"),
}
SPLITS = ("train", "val", "test")
TRUTH, RESULTS = "test.json", "results.json"
MAP50, MAP75, MAP = 1, 2, 0  # positions in COCOeval.stats


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("data", type=Path, help="folder of BCCD, with ImageSets, Annotations and JPEGImages")
    add("--minutes", type=float, required=True, help="of training, for each")
    add("--only", nargs="+", choices=ENGINES, default=list(ENGINES), help="some of them")
    add("--seed", type=int, default=0)
    add("--weights", type=Path, help="Darknet's yolov3-tiny.weights, for both YOLOv3-tiny")
    add("--backbone", type=Path, help="torchvision's mobilenet_v3_large-8738ca79.pth, for its own")
    add("--precision", default="auto", help="auto, float32 or bfloat16")
    add("--output", type=Path, default=Path("log/others"), help="folder, default %(default)s")
    add("--serve", choices=ENGINES, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    if args.serve:
        return train_and_detect(args, time.monotonic())
    if args.precision == "auto":
        import_tensorflow()
        from yolov3.kernels.hardware import choose_precision

        args.precision = choose_precision("auto")
    convert_data(args.data, args.output)
    rows = [row_of(name, args) for name in args.only]
    start = f"from {args.weights}" if args.weights else "from scratch"
    header = ["", "minutes", "epochs", "precision", "mAP50", "mAP75", "mAP"]
    print_table(f"BCCD's test images after {args.minutes:g} minutes, {start}", header, rows)
    print(f"\n{machine()}; {versions('tensorflow', 'torch', 'torchvision', 'ultralytics')}")
    return 0


def convert_data(data: Path, output: Path) -> None:
    """Write annotation files of all splits, YOLO's labels for Ultralytics, and the ground truth."""
    convert(data / "ImageSets/Main", "voc", output / "bccd.txt", "annotations")
    convert(output / "bccd_test.txt", "annotations", output / TRUTH, "coco")
    for split in SPLITS[:2]:
        labels = output / "yolo" / "labels" / split
        convert(output / f"bccd_{split}.txt", "annotations", labels, "yolo")


def convert(source: Path, source_format: str, target: Path, target_format: str) -> None:
    """Run tools/convert.py. Raises ValueError if it fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "tools/convert.py", "--overwrite", "--from", source_format]
    command += [source.absolute(), "--to", target_format, target.absolute()]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stderr.strip().removeprefix("error: "))


def row_of(name: str, args: argparse.Namespace) -> list[str]:
    """Let one train in a process of its own; return its row of the table."""
    folder = args.output / name
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, args.data, "--serve", name]
    for flag in ("minutes", "seed", "weights", "backbone", "precision", "output"):
        value = getattr(args, flag)
        command += [] if value is None else [f"--{flag}", value]
    print(f"{ENGINES[name][0]}: {folder / 'printed.txt'}", flush=True)
    with open(folder / "printed.txt", "w") as printed:
        done = subprocess.run(list(map(str, command)), stdout=printed, stderr=subprocess.STDOUT)
    if done.returncode:
        raise ValueError(f"{name}: ended with code {done.returncode}; see {folder}/printed.txt")
    facts = json.loads((folder / RESULTS).read_text())
    maps = average_precisions(args.output / TRUTH, facts["detections"])
    own = [f"{facts['minutes']:.1f}", facts["epochs"], facts["precision"]]
    return [ENGINES[name][0], *own, *(f"{value:.3f}" for value in maps)]


def train_and_detect(args: argparse.Namespace, started: float) -> int:
    """Be one of them: train, then detect in the test images; write what came out."""
    train = importlib.import_module(ENGINES[args.serve][1]).train
    detect, facts = train(args, started)
    facts["minutes"] = (time.monotonic() - started) / 60
    images = json.loads((args.output / TRUTH).read_text())["images"]
    facts["detections"] = [
        found for image in images for found in in_coco(image["id"], *detect(image["file_name"]))
    ]
    (args.output / args.serve / RESULTS).write_text(json.dumps(facts))
    return 0


def in_coco(image_id: int, boxes_xyxy, scores, classes) -> list[dict]:
    """Return the detections of an image in COCO's format: classes count from 1."""
    rows = zip(boxes_xyxy.tolist(), scores.tolist(), classes.tolist(), strict=True)
    return [
        {
            "image_id": image_id,
            "category_id": int(label) + 1,
            "bbox": [left, top, right - left, bottom - top],
            "score": score,
        }
        for (left, top, right, bottom), score, label in rows
    ]


def average_precisions(truth: Path, detections: list[dict]) -> list[float]:
    """Return mAP50, mAP75 and mAP of detections, as pycocotools has them."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    if not detections:
        return [0.0, 0.0, 0.0]
    with contextlib.redirect_stdout(io.StringIO()):  # it reports every step
        coco = COCO(truth)
        evaluation = COCOeval(coco, coco.loadRes(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(evaluation.stats[index]) for index in (MAP50, MAP75, MAP)]


if __name__ == "__main__":
    run_script(main)
