"""Evaluate a detector on annotated images: average precision and speed."""

import json
import math
import os
import time
from pathlib import Path

import numpy as np

from yolov3.dataset import evaluation_batches
from yolov3.detection import Detector
from yolov3.files import atomic_write, read_json
from yolov3.metrics import average_precision, detection_limit

MEAN_ROW = "all classes (mAP)"
DETECTOR_SETTINGS = ("weights", "precision", "score_threshold", "iou_threshold", "agnostic_nms")
HARDLY_ANY = 0.01  # mAP50; even a short training has more
HARDLY_ANY_RIGHT = (
    "note: hardly any detection is right: weights of another task, classes numbered differently, "
    "or too short a training"
)
IMAGES = {  # which they are, by the field of `Checkpoint` that is their fingerprint
    "trained_on": "warning: the run was trained on these images; of new ones this says little",
    "validated_on": "the run was validated on these images",
    "other": "the run was not validated on these images and boxes",
}


def evaluate(detector: Detector, records, batch_size: int = 8) -> dict:
    """Return mAP50, mAP75, mAP, per_class, images, images_per_second and how they were measured.

    An image that cannot be read counts in `unreadable`, and as one without detections. The
    time is that of reading, network and NMS for all images, after a warm-up which builds the graph.
    Several classes of a prediction count, and of each image and class as many detections as
    `detection_limit` says.
    Raises ValueError for a detector whose input is not square.
    """
    size, width = detector.input_hw
    if size != width:
        raise ValueError(f"input_size: expected one number to evaluate at; received {size}x{width}")
    limit = detection_limit(records)
    detector = detector.for_metrics(limit)
    first = min(batch_size, len(records))
    detector.detect_letterboxed(np.zeros((first, size, size, 3), np.uint8), [(size, size)] * first)
    detections, unreadable = [], 0
    started = time.perf_counter()
    for images, _, _, sizes_hw in evaluation_batches(records, batch_size, size):
        detections += detector.detect_letterboxed(images, sizes_hw.numpy())
        unreadable += int(np.sum(sizes_hw.numpy()[:, 0] == 0))
    seconds = time.perf_counter() - started
    return {
        **average_precision(records, detections, detector.class_names, limit),
        "images": len(records),
        "unreadable": unreadable,
        "images_per_second": len(records) / seconds,
        "input_size": size,
        "max_detections_per_class": limit,
        **{name: getattr(detector, name) for name in DETECTOR_SETTINGS},
    }


def format_table(result: dict) -> str:
    """Return the figures of `evaluate` as a table; a class without ground truth has dashes."""
    width = max(len(MEAN_ROW), *map(len, result["per_class"]))
    boxes = sum(row["boxes"] for row in result["per_class"].values())
    means = {name: result[f"m{name}"] for name in ("AP50", "AP75", "AP")}
    rows = [*result["per_class"].items(), (MEAN_ROW, {**means, "boxes": boxes})]
    lines = [f"{'':{width}}   boxes    AP50    AP75      AP"]
    for name, row in rows:
        figures = "  ".join(_figure(row[key]) for key in ("AP50", "AP75", "AP"))
        lines.append(f"{name:{width}}  {row['boxes']:6,}  {figures}")
    lines.append(f"{result['images']:,} images, {result['images_per_second']:.1f} per second")
    if result["unreadable"]:
        lines.append(f"{result['unreadable']:,} cannot be read: nothing was found in them")
    if result["mAP50"] < HARDLY_ANY:
        lines.append(HARDLY_ANY_RIGHT)
    return "\n".join(lines)


def check_replaced(path, source: dict) -> None:
    """Raise ValueError if a file is there, unless it is an earlier evaluation of this `source`.

    Raises OSError if none can be made there: now, not after the evaluation.
    """
    if not os.path.lexists(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
        Path(path).unlink()
        return
    try:
        earlier = read_json(path)
    except ValueError:
        earlier = {}
    was = {name: earlier.get(name) for name in source}
    if was != source:
        what = "a file that is no evaluation"
        if "mAP50" in earlier and all(was.values()):
            what = f"the evaluation of {was['run']} on {was['annotations']}; give another file"
        raise ValueError(f"{path}: refusing to overwrite {what}")


def write_json(path, result: dict) -> None:
    """Write the figures as JSON, null for a class without ground truth; make the folder."""
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(_without_nan(result), indent=2) + "\n", encoding="utf-8")


def _figure(value):
    return "     -" if math.isnan(value) else f"{value:6.4f}"


def _without_nan(value):
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
