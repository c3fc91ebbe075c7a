"""Tests of the tf.data pipeline: which images, in which order, with which boxes."""

import dataclasses
import os
import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf

from yolov3.annotations import Record
from yolov3.augment import Augmentation, training_sample
from yolov3.dataset import (
    NONE,
    Share,
    evaluation_batches,
    shuffled_index,
    training_batches,
)
from yolov3.images import read_image

COUNT, BATCH, SIZE, SEED = 7, 2, 64, 5
UNCHANGED = Augmentation()
CHANGED = Augmentation(flip=0.5, scale=0.5, translate=0.3, value=0.5, rotate=10.0)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Make images of 48 x 32 in shades of grey; image i has i boxes of class i."""
    folder = tmp_path_factory.mktemp("images")
    made = []
    for index in range(COUNT):
        path = str(folder / f"{index}.png")
        cv2.imwrite(path, np.full((32, 48, 3), 30 * index, np.uint8))
        boxes_xyxy = np.tile(np.float32([12, 8, 36, 24]), (index, 1))
        made.append(Record(path, boxes_xyxy, np.full(index, index, np.int32), index + 1))
    return made


def batches_of(records, steps, seed=SEED, augmentation=UNCHANGED, detection_size=SIZE):
    batches = training_batches(records, augmentation, seed, BATCH, SIZE, steps, detection_size)
    return [tuple(part.numpy() for part in batch) for batch in batches]


def order_of(batches):
    """Tell the images by their shade."""
    return [int(image[SIZE // 2, 0, 0]) // 30 for images, *_ in batches for image in images]


def assert_equal(ours, theirs):
    assert len(ours) == len(theirs) > 0
    for our, their in zip(ours, theirs, strict=True):
        for our_part, their_part in zip(our, their, strict=True):
            np.testing.assert_array_equal(our_part, their_part)


def test_every_image_once_per_pass_in_another_order(records):
    batches = batches_of(records, (0, COUNT * 3 // BATCH + 1))
    order = order_of(batches)
    passes = [order[start : start + COUNT] for start in (0, COUNT, 2 * COUNT)]
    assert [sorted(one) for one in passes] == [list(range(COUNT))] * 3
    assert len({tuple(one) for one in passes}) == 3
    assert {len(images) for images, *_ in batches} == {BATCH}  # also where two passes meet


def test_seed_decides(records):
    first = batches_of(records, (0, 7), augmentation=CHANGED)
    assert [part.dtype for part in first[0]] == [np.uint8, np.float32, np.int32, np.int32]
    assert_equal(first, batches_of(records, (0, 7), augmentation=CHANGED))
    other = batches_of(records, (0, 7), seed=SEED + 1)
    assert order_of(batches_of(records, (0, 7))) != order_of(other)


@pytest.mark.parametrize(
    "augmentation", [CHANGED, CHANGED._replace(mosaic=0.5, mixup=0.5, sizes=(0.5, 1, 1.5))]
)
def test_starting_later_gives_what_a_whole_run_gives(spoiled, augmentation):
    whole = batches_of(spoiled, (0, 7), augmentation=augmentation)
    assert_equal(batches_of(spoiled, (3, 7), augmentation=augmentation), whole[3:])


def test_a_mosaic_is_of_the_image_that_is_due_and_of_others_as_large_as_in_detection(records):
    settings, steps = {"augmentation": Augmentation(mosaic=0.5), "detection_size": 48}, (0, 20)
    batches = batches_of(records, steps, **settings)
    _, boxes, classes, indices = map(np.concatenate, zip(*batches, strict=True))
    whole = batches_of(records, steps)
    np.testing.assert_array_equal(indices, np.concatenate([batch[-1] for batch in whole]))
    mosaics = 0
    for one_boxes, one_classes, (index, _) in zip(boxes, classes, indices, strict=True):
        count = one_boxes.any(axis=1).sum()
        assert one_classes[:count].all() and not one_boxes[count:].any()  # padding comes last
        assert index == 0 or index in one_classes
        sizes = (one_boxes[:count, 2:] - one_boxes[:count, :2]).round(2).tolist()
        if len(set(one_classes[:count])) > 1:
            mosaics += 1
            assert sizes == [[24, 16]] * count  # as in the images, of 48 pixels
    assert 0.2 < mosaics / len(boxes) < 0.8


def test_same_images_and_boxes_as_without_tf_data(records):
    expected = []
    for position in range(4 * BATCH):
        record = records[int(shuffled_index(tf.constant(position, tf.int64), COUNT, SEED))]
        rng = np.random.default_rng([SEED, position])
        sample = read_image(record.image_path), record.boxes_xyxy, record.classes
        made = training_sample(sample, None, SIZE, SIZE, CHANGED, rng)
        expected.append((*made, record.line))
    batches = batches_of(records, (0, 4), augmentation=CHANGED)
    received = [parts for batch in batches for parts in zip(*batch, strict=True)]
    for (image, boxes, classes, indices), (their_image, their_boxes, their_classes, line) in zip(
        received, expected, strict=True
    ):
        assert indices.tolist() == [line - 1, line - 1]
        np.testing.assert_array_equal(image, their_image)
        np.testing.assert_array_equal(boxes[: len(their_boxes)], their_boxes)
        np.testing.assert_array_equal(classes[: len(their_classes)], their_classes)
        assert not boxes[len(their_boxes) :].any()


@pytest.mark.parametrize(("workers", "per_worker"), [(2, 1), (4, 1), (2, 2)])
def test_the_shares_of_all_workers_are_the_batches_of_one(records, workers, per_worker):
    sizes, steps, replicas = (4, SIZE), (3, 6), workers * per_worker
    arguments = records, CHANGED, SEED, *sizes, steps, SIZE
    whole = [batch[0].numpy() for batch in training_batches(*arguments)]
    of_all = [
        np.concatenate([batch[0].numpy() for batch in training_batches(*arguments, share=share)])
        for share in (Share(worker, workers, replicas) for worker in range(workers))
    ]
    shares = [images.reshape(3, 4 // workers, *images.shape[1:]) for images in of_all]
    np.testing.assert_array_equal(np.concatenate(shares, axis=1), np.stack(whole))


def test_each_batch_has_one_of_the_sizes_at_random(records):
    batches = batches_of(records, (0, 12), augmentation=Augmentation(sizes=(0.5, 1.0, 1.4)))
    sizes = [images.shape[1:3] for images, *_ in batches]
    assert all(height == width for height, width in sizes)
    blocks = [[width for _, width in sizes[start : start + 3]] for start in range(0, 12, 3)]
    assert [sorted(block) for block in blocks] == [[32, 64, 96]] * 4  # a third each
    assert len({tuple(block) for block in blocks}) > 1


@pytest.fixture
def spoiled(records, tmp_path):
    """Copy the records; 2, 3 and the last are no images any more."""
    copies = []
    for index, record in enumerate(records):
        path = shutil.copy(record.image_path, tmp_path)
        copies.append(dataclasses.replace(record, image_path=path))
        if index in (2, COUNT - 1):
            os.remove(path)
        elif index == 3:
            with open(path, "r+b") as file:
                file.truncate(20)
    return copies


def test_the_next_image_takes_the_place_of_one_that_cannot_be_read(records, spoiled):
    stand_ins = {2: 4, 3: 4, COUNT - 1: 0}
    steps = (0, 2 * COUNT // BATCH)
    before, after = batches_of(records, steps), batches_of(spoiled, steps)
    requested = [index for *_, indices in before for index, _ in indices]
    assert [pair.tolist() for *_, indices in after for pair in indices] == [
        [index, stand_ins.get(index, index)] for index in requested
    ]
    found = [stand_ins.get(index, index) for index in requested]
    assert order_of(after) == found
    labels = [classes for _, _, classes, _ in after for classes in classes]
    for index, classes in zip(found, labels, strict=True):  # image i has i boxes of class i
        assert classes.tolist() == [index] * index + [0] * (COUNT - 1 - index)


def test_without_any_readable_image_all_are_grey_and_say_so(spoiled):
    lost = [spoiled[2], spoiled[3]]
    for images, boxes_xyxy, _, indices in batches_of(lost, (0, 2)):
        assert (images == 128).all() and not boxes_xyxy.any()
        assert (indices[:, 1] == NONE).all()


def test_evaluation_marks_those_that_cannot_be_read(spoiled):
    batches = evaluation_batches(spoiled, 3, SIZE)
    images, boxes, _, sizes = (np.concatenate(part) for part in zip(*batches, strict=True))
    is_lost = np.isin(np.arange(COUNT), [2, 3, COUNT - 1])
    assert sizes.tolist() == [[0, 0] if lost else [32, 48] for lost in is_lost]
    assert (images[is_lost] == 128).all() and not boxes[is_lost].any()
    assert (images[~is_lost] != 128).any(axis=(1, 2, 3)).all()


def test_evaluation_takes_all_in_order_and_a_smaller_last_batch(records):
    batches = [tuple(part.numpy() for part in b) for b in evaluation_batches(records, 3, SIZE)]
    assert order_of(batches) == list(range(COUNT))
    assert [len(images) for images, *_ in batches] == [3, 3, 1]
    for *_, sizes_hw in batches:
        assert (sizes_hw == [32, 48]).all()


def test_boxes_are_in_pixels_of_the_letterbox(records):
    # 48 x 32 becomes 64 x 43, 10 rows down: x * 64 / 48 and y * 43 / 32 + 10.
    images, boxes_xyxy, classes, _ = next(iter(evaluation_batches(records[3:4], 1, SIZE)))
    np.testing.assert_allclose(boxes_xyxy[0], [[16, 20.75, 48, 42.25]] * 3)
    assert classes.numpy().tolist() == [[3, 3, 3]]
    column = images[0, :, 0, 0].numpy()
    assert (column[10:53] == 90).all() and (column[:10] == 128).all() and (column[53:] == 128).all()
