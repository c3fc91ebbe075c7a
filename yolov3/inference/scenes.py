"""Detect in single images, such as scenes of a test set: choose them, print and draw the result."""

import random
import time
from pathlib import Path

import numpy as np

from yolov3.annotations import read_annotations
from yolov3.data.annotation_check import existing_file
from yolov3.detection import Detector
from yolov3.draw import draw_boxes
from yolov3.files import check_outputs, short_name
from yolov3.images import IMAGE_SUFFIXES, read_image
from yolov3.inference.sources import own_names
from yolov3.text import require


def choose_scenes(
    detector: Detector, count: int, seed: int | None, annotations: str | None = None
) -> list[str]:
    """Choose images at random unless seeded, by default among those of the run's validation.

    Raises ValueError if the file is missing or bad; bad lines are skipped if the run skipped them.
    """
    config = detector.config
    path = existing_file(annotations or config.test_annot_path or config.train_annot_path)
    records = read_annotations(path, len(detector.class_names), config.bad_lines == "skip")
    chosen = random.Random(seed).sample(records, min(count, len(records)))
    return [record.image_path for record in chosen]


def output_paths(output: str, image_paths) -> list[Path]:
    """Return where to save each image: `output` itself for one, else its own file in that folder.

    Raises ValueError where several images would be saved to one file.
    """
    target = Path(output)
    if target.suffix.lower() not in IMAGE_SUFFIXES:
        names = own_names(Path(Path(path).stem) for path in image_paths)
        return [target / short_name(str(name), ".png") for name in names]
    require(len(image_paths) <= 1, "--output", "a folder for several images", output)
    return [target]


def detect_and_draw(detector: Detector, image_path, output: Path) -> tuple[int, np.ndarray]:
    """Detect in one image, print each object and the time, and draw the boxes.

    Returns how many objects were found and the drawn image, RGB uint8. Raises ValueError for an
    unreadable image, and where `output` is that image.
    """
    check_outputs([output], [image_path], overwrite=True)
    image_rgb = read_image(image_path)
    detector(image_rgb)  # builds the graph and warms the caches, so that the time below is typical
    started = time.perf_counter()
    boxes_xyxy, scores, classes = detector(image_rgb)
    milliseconds = (time.perf_counter() - started) * 1000
    print(f"{image_path}: {len(scores)} found in {milliseconds:.0f} ms")
    if not len(scores):
        print(f"  {nothing_found(detector)}")
    for box, score, label in zip(boxes_xyxy, scores, classes, strict=True):
        corners = ", ".join(f"{value:.0f}" for value in box)
        print(f"  {detector.class_names[label]:12} {score:.2f}  at ({corners})")
    return len(scores), draw_boxes(image_rgb, boxes_xyxy, classes, detector.class_names, scores)


def nothing_found(detector: Detector) -> str:
    """Say what helps where nothing was found."""
    threshold = f"{detector.score_threshold:g}"
    return f"nothing above {threshold}: try a lower --score-threshold, or train longer"
