"""The tf.data pipeline: records -> batches of images and boxes.

Order and augmentation are functions of (seed, position), so a resumed run sees the same batches. An
image that cannot be read is tried again each time it is due, so what replaces it depends on
the files alone.
"""

from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf

from yolov3.annotations import stack_boxes
from yolov3.augment import MOSAIC, Augmentation, training_sample
from yolov3.images import GREY, boxes_to_letterbox, letterbox, letterbox_params, read_image
from yolov3.schedule import size_of_step

NONE = -1  # the index where no record can be read
BLANK = np.full((1, 1, 3), GREY, np.uint8)  # stands for an image that cannot be read
MAX_WORKERS = 16  # threads that load images
BATCHES_AHEAD = 2


class Share(NamedTuple):
    """The part of each batch that a worker reads, and how many replicas a whole one is for."""

    worker: int = 0
    workers: int = 1
    replicas: int = 1


WHOLE = Share()


def training_batches(
    records,
    augmentation: Augmentation,
    seed,
    batch_size,
    input_size,
    steps,
    detection_size=None,
    share=WHOLE,
):
    """Return a dataset of the batches of the training steps `range(*steps)`.

    Each batch is (images uint8 (B, H, W, 3) RGB, boxes_xyxy float32 (B, N, 4) in pixels of the
    input, classes int32 (B, N), indices int32 (B, 2)). N is the largest number of boxes that an
    image can have; the rest are empty boxes. The batches are cut from an endless stream of passes
    over the data, each in its own order, so all are full and no image is repeated or left out: only
    mosaic, at the scale of `detection_size`, and mixup bring in others beside the one that is due.
    Of a `share` come its positions alone, in a batch for each of its replicas.

    `indices` holds (requested, used) record indices. They differ if an image could not be read and
    the next one of the file took its place; -1, and a grey image without boxes, if none could.
    """
    most = (MOSAIC if augmentation.mosaic else 1) * (2 if augmentation.mixup else 1)
    capacity = most * _box_capacity(records)

    def other(rng):
        return _read_or_next(records, rng.integers(len(records)))[:3]

    def load(index, position):
        rng = np.random.default_rng([seed, position])
        *sample, used = _read_or_next(records, index)
        size = size_of_step(input_size, position // batch_size, augmentation.sizes, seed)
        full_size = (detection_size or input_size) * size / input_size
        sample = training_sample(sample, other, size, full_size, augmentation, rng)
        return *_padded(*sample, capacity), np.array([index, used], np.int32)

    def due(number):
        """Return the index and the position of the image that the share takes as this one."""
        position = number // per_step * batch_size + share.worker * per_step + number % per_step
        return shuffled_index(position, len(records), seed), position

    (first, stop), per_step = steps, batch_size // share.workers
    positions = tf.data.Dataset.range(first * per_step, stop * per_step).map(due)
    return _batches(positions, load, batch_size // share.replicas, capacity, drop_remainder=True)


def evaluation_batches(records, batch_size, input_size):
    """Return a dataset of the batches of all records in order, as `training_batches` does.

    The last batch may be smaller. In place of `indices` there is the original height and width of
    the images, int32 (B, 2): 0 and 0 for one that cannot be read, which is grey and has no boxes.
    """
    capacity, input_hw = _box_capacity(records), (input_size, input_size)

    def load(index):
        image = _read(records, index)
        boxes_xyxy, classes = _boxes_of(records, NONE if image is None else index)
        image_hw = np.array((0, 0) if image is None else image.shape[:2], np.int32)
        image = BLANK if image is None else image
        boxes_xyxy = boxes_to_letterbox(boxes_xyxy, letterbox_params(image.shape[:2], input_hw))
        return *_padded(letterbox(image, input_hw), boxes_xyxy, classes, capacity), image_hw

    positions = tf.data.Dataset.range(len(records))
    return _batches(positions, load, batch_size, capacity, drop_remainder=False)


def shuffled_index(position: tf.Tensor, count: int, seed: int) -> tf.Tensor:
    """Return the record index at a position of the endless stream: pass p is the p-th shuffle."""
    epoch, place = position // count, position % count
    return tf.random.experimental.index_shuffle(place, [seed, epoch], count - 1)


def _batches(positions, load, batch_size, capacity, drop_remainder):
    cv2.setNumThreads(0)  # tf.data already loads an image per core

    def load_in_graph(*position):
        image, boxes_xyxy, classes, about = tf.numpy_function(
            load, position, [tf.uint8, tf.float32, tf.int32, tf.int32], stateful=False
        )
        return (
            tf.ensure_shape(image, [None, None, 3]),
            tf.ensure_shape(boxes_xyxy, [capacity, 4]),
            tf.ensure_shape(classes, [capacity]),
            tf.ensure_shape(about, [2]),
        )

    workers = min(cv2.getNumberOfCPUs(), MAX_WORKERS)  # those that this process may use
    dataset = positions.map(load_in_graph, num_parallel_calls=workers, deterministic=True)
    dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    options = tf.data.Options()
    # Its thread misses now and then that the iterator has ended, which then waits half a minute:
    # 4 of 30 iterators of 50 s in TensorFlow 2.21.
    options.autotune.enabled = False
    return dataset.prefetch(BATCHES_AHEAD).with_options(options)


def _padded(image_rgb, boxes_xyxy, classes, capacity):
    padded_boxes = np.zeros((capacity, 4), np.float32)
    padded_classes = np.zeros(capacity, np.int32)
    padded_boxes[: len(boxes_xyxy)] = boxes_xyxy
    padded_classes[: len(classes)] = classes
    return image_rgb, padded_boxes, padded_classes


def _read_or_next(records, index):
    """Return the first image from `index` on that can be read, its boxes, classes and index."""
    for candidate in (*range(index, len(records)), *range(index)):
        image = _read(records, candidate)
        if image is not None:
            return image, *_boxes_of(records, candidate), candidate
    return BLANK, *_boxes_of(records, NONE), NONE


def _read(records, index):
    try:
        return read_image(records[index].image_path)
    except ValueError:
        return None


def _boxes_of(records, index):
    if index == NONE:
        return np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    return records[index].boxes_xyxy, records[index].classes


def _box_capacity(records):
    return max(1, np.bincount(stack_boxes(records)[0]).max(initial=0))
