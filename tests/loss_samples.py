"""Random boxes, raw maps and targets for the tests of the losses."""

import numpy as np

from yolov3.configs import ANCHORS, STRIDES
from yolov3.labels import assign_anchors

CLASSES = 3
SIZE = 64


def targets_of(boxes_xyxy, classes, size_hw=(SIZE, SIZE)):
    grids = [(size_hw[0] // stride, size_hw[1] // stride) for stride in STRIDES]
    return assign_anchors(boxes_xyxy, classes, ANCHORS, STRIDES, grids, CLASSES)


def raw_maps_of(batch, seed=0, spread=1.0, size_hw=(SIZE, SIZE)):
    rng = np.random.default_rng(seed)
    return [
        rng.normal(
            0, spread, (batch, size_hw[0] // stride, size_hw[1] // stride, 3, 5 + CLASSES)
        ).astype(np.float32)
        for stride in STRIDES
    ]


def random_boxes(batch, count, seed=0, size_hw=(SIZE, SIZE)):
    rng = np.random.default_rng(seed)
    limit = np.array([size_hw[1], size_hw[0]])
    corners = rng.uniform(0, 1, (2, batch, count, 2)) * limit
    boxes = np.concatenate([corners.min(axis=0), corners.max(axis=0)], axis=-1)
    return boxes.astype(np.float32), rng.integers(0, CLASSES, (batch, count)).astype(np.int32)
