"""Evaluate a detector on annotated images: precision, recall and speed."""

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from yolov3 import metrics
from yolov3.configs import shown_threshold
from yolov3.detection import Detector
from yolov3.images import GREY, letterbox, read_image

MEAN_ROW = "all classes"
DETECTOR_SETTINGS = ("weights", "score_threshold", "iou_threshold", "agnostic_nms")
PER_POINT = ("precision", "recall", "F1")
PIXELS_OF_SCORE = 100  # as far apart as a score of 0 and 1: boxes at the edge may be equal
STAGES = ("read and letterbox", "network", "NMS")
TIMED = 32  # images
HARDLY_ANY = 0.01  # mAP50; even a short training has more
HARDLY_ANY_RIGHT = (
    "note: hardly any detection is right: weights of another task, classes numbered differently, "
    "or too short a training"
)
IMAGES_ARE = {  # which they are, by the field of `Checkpoint` that is their fingerprint
    "trained_on": "warning: the run was trained on these images; of new ones this says little",
    "validated_on": "the run was validated on these images",
    "other": "the run was not validated on these images and boxes",
}


class Evaluation(NamedTuple):
    """What a detector found in annotated images, and what that is worth."""

    figures: dict  # all numbers, as in the JSON
    records: list
    class_names: list[str]
    detections: list[tuple]  # boxes_xyxy, scores, classes of each image
    sizes_hw: np.ndarray  # (I, 2) pixels, 0 of an image that cannot be read
    matches: metrics.Matches
    curves: np.ndarray  # (3, C, S) precision, recall and F1 over `metrics.SCORES`

    @property
    def threshold(self) -> float:
        """The best score threshold, or that of detection where none is."""
        return self.figures["threshold"]


def evaluate(detector: Detector, records, batch_size: int = 8) -> Evaluation:
    """Detect in all images and compare with the ground truth.

    The figures are mAP50, mAP75, mAP, those of `metrics.best_point`, per_class, images,
    images_per_second and how they were measured. An image that cannot be read counts
    in `unreadable`, and as one without detections. The time is that of reading, network and NMS
    for all images, after a warm-up which builds the graph. Several classes of a prediction count,
    and of each image and class as many detections as `detection_limit` says.
    Raises ValueError for a detector whose input is not square.
    """
    size, width = detector.input_hw
    if size != width:
        raise ValueError(f"input_size: expected one number to evaluate at; received {size}x{width}")
    limit, names = metrics.detection_limit(records), detector.class_names
    areas = tuple(metrics.AREAS)
    detector = detector.for_metrics(limit)
    first = min(batch_size, len(records))
    detector.detect_letterboxed(np.zeros((first, size, size, 3), np.uint8), [(size, size)] * first)
    detections, sizes = [], []
    started = time.perf_counter()
    for images, sizes_hw in letterboxed_batches(records, batch_size, size):
        detections += detector.detect_letterboxed(images, sizes_hw)
        sizes += sizes_hw
    seconds = time.perf_counter() - started
    matches = metrics.match_detections(records, detections, len(names), limit, areas)
    curves = metrics.score_curves(matches)
    figures = {
        **metrics.average_precision(matches, names, areas),
        "images": len(records),
        "unreadable": sum(not height for height, _ in sizes),
        "images_per_second": len(records) / seconds,
        "input_size": size,
        "max_detections_per_class": limit,
        "number_format": detector.precision,  # "precision" is that of the detections
        **{name: getattr(detector, name) for name in DETECTOR_SETTINGS},
    }
    add_points(figures, matches, curves)
    return Evaluation(figures, records, names, detections, np.array(sizes), matches, curves)


def letterboxed_batches(records, batch_size, size) -> Iterator[tuple[np.ndarray, tuple]]:
    """Yield the letterboxed images of all records, uint8 (B, size, size, 3), and their own sizes.

    These are (height, width), 0 and 0 for one that cannot be read, which is grey. Threads read a
    batch ahead.
    """

    def load(record):
        try:
            image_rgb = read_image(record.image_path)
        except ValueError:
            return np.full((size, size, 3), GREY, np.uint8), (0, 0)
        return letterbox(image_rgb, (size, size)), image_rgb.shape[:2]

    batches = [records[i : i + batch_size] for i in range(0, len(records), batch_size)]
    with ThreadPoolExecutor() as pool:
        ahead = pool.map(load, batches[0])
        for following in [*batches[1:], []]:
            batch, ahead = ahead, pool.map(load, following)
            images, sizes_hw = zip(*batch, strict=True)
            yield np.stack(images), sizes_hw


def add_points(figures: dict, matches: metrics.Matches, curves: np.ndarray) -> None:
    """Add precision, recall and F1 at the best threshold of all classes, and that of each alone."""
    mean = metrics.mean_over_classes(curves)
    least = figures.get("score_threshold", 0.0)
    point = metrics.best_point(mean, least)
    figures["threshold"] = threshold = max(shown_threshold(point), least)
    figures |= point or metrics.point_at(mean, threshold) | {"best_threshold": math.nan}
    for label, row in enumerate(figures["per_class"].values()):
        own = metrics.best_point(curves[:, label], least)
        row |= metrics.point_at(curves[:, label], threshold)
        row |= {f"best_{name}": own.get(name, math.nan) for name in PER_POINT}
        row["best_threshold"] = own.get("best_threshold", math.nan)
        of_class = matches.truth_classes == label
        row["images"] = len(np.unique(matches.truth_images[of_class]))


def largest_difference(ours, theirs, threshold: float) -> tuple[float, float]:
    """Return by how many pixels and how much score two detectors differ, at most.

    `ours` and `theirs` are `Evaluation.detections` of the same images. Each detection from the
    threshold on is compared with the nearest of its class that the other found; infinite without
    one, NaN where neither found any.
    """
    worst = np.full(2, math.nan)
    for pair in zip(ours, theirs, strict=True):
        for (boxes, scores, classes), others in (pair, pair[::-1]):
            for index in np.flatnonzero(scores >= threshold):
                same = others[2] == classes[index]
                if not same.any():
                    return math.inf, math.inf
                pixels = np.abs(others[0][same] - boxes[index]).max(axis=1)
                by_score = np.abs(others[1][same] - scores[index])
                nearest = (pixels + PIXELS_OF_SCORE * by_score).argmin()
                worst = np.fmax(worst, [pixels[nearest], by_score[nearest]])
    return tuple(worst.tolist())


def time_stages(detector: Detector, evaluation: Evaluation, batch_size: int) -> dict[str, float]:
    """Return the milliseconds per image of each of `STAGES` alone, reading in one thread.

    NMS is that of detection, at the best score threshold.
    """
    hw = detector.input_hw
    sizes = zip(evaluation.records, evaluation.sizes_hw, strict=True)
    records = [record for record, (height, _) in sizes if height][:TIMED]

    def network(images):
        outputs = detector.backend.run(images)
        np.asarray(outputs[-1])  # waits for a GPU
        return outputs

    def nms(outputs):
        found = detector.suppress(outputs, evaluation.threshold, detector.iou_threshold)
        np.asarray(found[0][0])

    def load(part):
        return np.stack([letterbox(read_image(record.image_path), hw) for record in part])

    if not records:
        return dict.fromkeys(STAGES, math.nan)
    inputs = [records[i : i + batch_size] for i in range(0, len(records), batch_size)]
    times = {}
    for name, stage in zip(STAGES, (load, network, nms), strict=True):
        outputs = list(map(stage, inputs))  # builds the graph
        started = time.perf_counter()
        for batch in inputs:
            stage(batch)
        times[name] = (time.perf_counter() - started) * 1000 / len(records)
        inputs = outputs
    return times


def class_rows(figures: dict) -> list[tuple[str, dict]]:
    """Return the name and figures of all classes together, `MEAN_ROW`, and then of each."""
    means = {name: figures[f"m{name}"] for name in ("AP50", "AP75", "AP")}
    means |= {f"best_{name}": figures[name] for name in PER_POINT}
    means["boxes"] = sum(row["boxes"] for row in figures["per_class"].values())
    return [(MEAN_ROW, figures | means), *figures["per_class"].items()]


def format_table(figures: dict) -> str:
    """Return the figures of `evaluate` as a table; a class without ground truth has dashes."""
    mean, *rows = class_rows(figures)
    width = max(len(name) for name, _ in (mean, *rows))
    lines = [f"{'':{width}}  images   boxes       P       R      F1    AP50    AP75      AP"]
    for name, row in (*rows, mean):
        values = "  ".join(_figure(row[key]) for key in (*PER_POINT, "AP50", "AP75", "AP"))
        lines.append(f"{name:{width}}  {row['images']:6,}  {row['boxes']:6,}  {values}")
    best = figures["best_threshold"]
    if not math.isnan(best):
        lines.append(f"P, R and F1 are at a score of {best:g}, where the mean F1 is best")
    sizes = list(metrics.AREAS)[1:]
    of_size = (f"{name} {_figure(figures[f'mAP_{name}']).strip()}" for name in sizes)
    lines.append(f"mAP by the size of objects: {', '.join(of_size)}")
    stages = (f"{name} {time:.1f} ms" for name, time in figures["milliseconds"].items())
    images = f"{figures['images']:,} image{'s' * (figures['images'] != 1)}"
    lines.append(f"{images}, {figures['images_per_second']:.1f} per second")
    lines.append(f"stages per image: {', '.join(stages)}")
    if figures["unreadable"]:
        lines.append(f"{figures['unreadable']:,} cannot be read: nothing was found in them")
    if figures["mAP50"] < HARDLY_ANY:
        lines.append(HARDLY_ANY_RIGHT)
    return "\n".join(lines)


def _figure(value):
    return "     -" if math.isnan(value) else f"{value:6.4f}"
