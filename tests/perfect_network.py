"""A dense image, and a network that finds every object in it and nothing else."""

import cv2
import numpy as np
import tensorflow as tf

from yolov3.annotations import Record

SIZE, STRIDE, SIDE = 416, 16, 12  # pixels: of the image, a cell of tiny's fine map, an object
SURE, NEVER = 20.0, -20.0
SETTINGS = {"tiny": True, "precision": "float32"}
DENSE = [(80, 80), (150,), (5,) * 80, (300, 100, 1)]  # objects per class


def dense_record(folder, counts) -> Record:
    """Write a grey image with so many objects of each class, each in a cell of its own."""
    cv2.imwrite(str(folder / "dense.png"), np.full((SIZE, SIZE, 3), 128, np.uint8))
    row, column = np.divmod(np.arange(sum(counts)), SIZE // STRIDE)
    corners = np.column_stack([column, row]) * STRIDE + (STRIDE - SIDE) / 2
    boxes_xyxy = np.hstack([corners, corners + SIDE]).astype(np.float32)
    classes = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    return Record(str(folder / "dense.png"), boxes_xyxy, classes, 1)


def perfect_network(record: Record, num_classes: int, anchors):
    """Return a stand-in for a folded YOLOv3-tiny that finds this in each image of a batch."""
    cells, depth = SIZE // STRIDE, 5 + num_classes
    fine = np.full((1, cells, cells, 3, depth), NEVER, np.float32)
    coarse = np.full((1, cells // 2, cells // 2, 3, depth), NEVER, np.float32)
    scores = np.random.default_rng(0).uniform(0.5, 0.9, len(record.classes))
    for box, label, score in zip(record.boxes_xyxy, record.classes, scores, strict=True):
        column, row = (box[:2] // STRIDE).astype(int)
        cell = fine[0, row, column, 0]
        cell[:2], cell[2:4] = 0, np.log(SIDE / np.array(anchors[0][0]))
        cell[4], cell[5 + label] = np.log(score / (1 - score)), SURE

    def network(images, training):
        return [tf.repeat(raw, tf.shape(images)[0], axis=0) for raw in (fine, coarse)]

    return network
