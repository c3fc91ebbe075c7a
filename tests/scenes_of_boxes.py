"""Images of boxes, and what a detector finds in them."""

import numpy as np

from yolov3.annotations import Record

BOX = [10.0, 10.0, 30.0, 40.0]
FAR = [60.0, 60.0, 90.0, 90.0]


def truth(*boxes_and_classes):
    boxes = np.float32([box for box, _ in boxes_and_classes]).reshape(-1, 4)
    return Record("x.png", boxes, np.int32([label for _, label in boxes_and_classes]), 1)


def found(*rows):
    boxes = np.float32([box for box, _, _ in rows]).reshape(-1, 4)
    return boxes, np.float32([s for _, s, _ in rows]), np.int32([label for *_, label in rows])


def random_scenes(rng, images=12, extra=0):
    """Return records, and what a detector of three classes finds; `extra` times it errs more."""
    records, detections = [], []
    for _ in range(images):
        count = rng.integers(0, 6)
        corner = rng.uniform(0, 300, (count, 2))
        boxes = np.hstack([corner, corner + rng.uniform(5, 120, (count, 2))])
        classes = rng.integers(0, 3, count)
        records.append(truth(*zip(boxes, classes, strict=True)))
        shifted = boxes + rng.normal(0, 6, (count, 4))
        shifted[:, 2:] = np.maximum(shifted[:, 2:], shifted[:, :2] + 1)
        labels = np.where(rng.random(count) < 0.8, classes, rng.integers(0, 3, count))
        rows = list(zip(shifted, rng.random(count), labels, strict=True))
        for _ in range(extra * count):
            box = boxes[rng.integers(count)] + rng.normal(0, 25, 4)
            box[2:] = np.maximum(box[2:], box[:2] + 1)
            rows.append((box, rng.random(), rng.integers(0, 3)))
        detections.append(found(*rows))
    return records, detections
