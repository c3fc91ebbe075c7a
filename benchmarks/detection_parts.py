"""What surrounds the network when one image is detected in: time, retracing, memory."""

import statistics
import time
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from benchmarks.detection_engines import WEIGHTS
from benchmarks.timing import megabytes, versions
from yolov3.detection import Detector
from yolov3.images import letterbox, read_image, write_image
from yolov3.nms import unletterbox
from yolov3.postprocess import detect_boxes

IMAGE_HW = (480, 640)  # of the timed one, as many cameras and data sets have it
OTHER_SIZES = 20  # of images that could each trace a new graph
DETECTIONS = 30  # per image, as many as a crowded one has


def measure_parts(folder, size: int, rounds: int, images: int, precision: str) -> dict:
    """Return the facts of a network: milliseconds by part, traces, and memory after images.

    Memory is that after a tenth of the `images`, and after all of them.
    """
    detector = Detector(Path(folder) / WEIGHTS, input_size=size, precision=precision)
    path = Path(folder) / "image.jpg"
    write_image(path, smooth_image(IMAGE_HW, seed=0))
    threshold = threshold_for(detector, read_image(path))
    milliseconds = time_parts(detector, path, rounds, threshold)
    rng = np.random.default_rng(0)
    sizes_hw = [tuple(rng.integers(100, 900, 2).tolist()) for _ in range(OTHER_SIZES)]
    others = [smooth_image(size_hw, seed) for seed, size_hw in enumerate(sizes_hw)]
    memory = []
    for number in range(images):
        detector(others[number % OTHER_SIZES], score_threshold=threshold)
        if number + 1 in (images // 10, images):
            memory.append(megabytes())
    return {
        "milliseconds": milliseconds,
        "sizes": len(set(sizes_hw)) + 1,
        "traces": detector.backend.run.experimental_get_tracing_count(),
        "megabytes": memory,
        "description": f"{detector.description}; {versions('tensorflow')}",
    }


def smooth_image(size_hw, seed: int) -> np.ndarray:
    """Return uint8 (H, W, 3) that compresses about as photographs do."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, None, 3), None, 0, 255, cv2.NORM_MINMAX)


def threshold_for(detector, image_rgb) -> float:
    """Return a score that about `DETECTIONS` boxes exceed: random weights score low."""
    _, scores, _ = detector(image_rgb, score_threshold=0.0)
    return float(scores[min(DETECTIONS, len(scores)) - 1])


def time_parts(detector, path, rounds, score_threshold) -> dict[str, float]:
    """Return the median milliseconds of each part, and of all in one."""
    image_rgb = read_image(path)
    letterboxed = letterbox(image_rgb, detector.input_hw)
    network = tf.function(lambda images: detector.backend.network(images, training=False))
    suppress = tf.function(
        lambda raw_maps, threshold: detect_boxes(
            raw_maps,
            anchors=detector.anchors,
            strides=detector.config.strides,
            score_threshold=threshold,
            iou_threshold=detector.iou_threshold,
        )
    )
    images = tf.constant(letterboxed[np.newaxis] / np.float32(255))
    raw_maps, threshold = network(images), tf.constant(score_threshold)
    found = suppress(raw_maps, threshold)
    parts = {
        "read": lambda: read_image(path),
        "letterbox": lambda: letterbox(image_rgb, detector.input_hw),
        "network": lambda: [raw.numpy() for raw in network(images)],
        "NMS": lambda: [part.numpy() for part in suppress(raw_maps, threshold)],
        "boxes back": lambda: unletterbox(*found, [image_rgb.shape[:2]], detector.input_hw),
        "all": lambda: detector(read_image(path), score_threshold=score_threshold),
    }
    seconds = {name: [] for name in parts}
    for _ in range(rounds + 1):
        for name, part in parts.items():
            started = time.perf_counter()
            part()
            seconds[name].append(time.perf_counter() - started)
    return {name: 1000 * statistics.median(times[1:]) for name, times in seconds.items()}
