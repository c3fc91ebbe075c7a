"""Augmentation: every box follows its pixels, and is left out only where too little is in view."""

import cv2
import numpy as np
import pytest

from yolov3.augment import (
    Augmentation,
    augment,
    jitter_color,
    mosaic,
    object_window,
    training_sample,
)
from yolov3.images import GREY, boxes_to_letterbox, letterbox, letterbox_params

HEIGHT, WIDTH = 90, 140
SEEDS = range(40)
GEOMETRY = Augmentation(flip=0.5, scale=0.5, translate=0.2, rotate=20, min_area=0.3)
ALL = GEOMETRY._replace(hue=0.1, saturation=0.5, value=0.4, contrast=0.2, mosaic=0.5, mixup=0.5)


def rng_of(seed):
    return np.random.default_rng(seed)


def scene(seed, k=0):
    """Return a sample: black, with three rectangles of the shade 60 (k + 1) and their boxes.

    They lie in columns of their own, so that none covers another, and each has its own channel.
    """
    rng = rng_of([seed, k])
    image, boxes = np.zeros((HEIGHT, WIDTH, 3), np.uint8), []
    for i in range(3):
        left, right = i * WIDTH // 3, (i + 1) * WIDTH // 3
        x = np.sort(rng.choice(np.arange(left, right + 1), 2, replace=False))
        y = np.sort(rng.choice(HEIGHT + 1, 2, replace=False))
        image[y[0] : y[1], x[0] : x[1], i] = 60 * (k + 1)
        boxes.append([x[0], y[0], x[1], y[1]])
    return image, np.array(boxes, np.float32), 3 * k + np.arange(3, dtype=np.int32)


def shade_of(label):
    return np.eye(3, dtype=int)[label % 3] * 60 * (label // 3 + 1)


def bounds(mask):
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def shown(image, channel):
    """Tell where a colour of 240 is shown, in part at least; unlike grey, it has one channel."""
    return image[..., channel] >= 120 + np.delete(image, channel, axis=2).max(axis=2).astype(int)


def shifted(samples, settings, rng):
    return augment(samples[0], WIDTH, settings._replace(translate=0.3), rng)


def shown_in_a_mosaic(samples, settings, rng):
    return mosaic(samples, 100, WIDTH, settings, rng)


@pytest.mark.parametrize("min_area", [0.3, 1.0])
@pytest.mark.parametrize(("change", "count"), [(shifted, 1), (shown_in_a_mosaic, 4)])
@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_are_exact_and_those_of_which_the_pixels_show_enough(seed, change, count, min_area):
    samples = [scene(seed, k) for k in range(count)]
    image, boxes, classes = change(samples, Augmentation(flip=0.5, min_area=min_area), rng_of(seed))
    assert (image.dtype, boxes.dtype, classes.dtype) == (np.uint8, np.float32, np.int32)
    labels, given = list(classes), np.concatenate([one for _, one, _ in samples])
    assert len(boxes) == len(labels) == len(set(labels))
    for label, (left, top, right, bottom) in enumerate(given):
        shown = (image == shade_of(label)).all(axis=2)
        assert (label in labels) == (shown.sum() >= min_area * (right - left) * (bottom - top))
        if label in labels:
            np.testing.assert_array_equal(boxes[labels.index(label)], bounds(shown))


def test_zoomed_boxes_are_around_their_pixels():
    zooms = []
    for seed in SEEDS:
        sample = scene(seed, k=3)
        image, boxes, classes = augment(sample, 2 * WIDTH, Augmentation(scale=0.5), rng_of(seed))
        for box, label in zip(boxes, classes - 9, strict=True):
            np.testing.assert_allclose(box, bounds(shown(image, label)), atol=1)
            if (box > 0).all() and (box < 2 * WIDTH).all():
                given = sample[1][label]
                zooms.append((box[2:] - box[:2]) / (given[2:] - given[:2]) / 2)
    assert 1 / 1.52 < np.min(zooms) < 0.75 and 1.33 < np.max(zooms) < 1.52


def test_turned_boxes_are_around_turned_ellipses():
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    turned = 0
    for seed in SEEDS:
        _, given, labels = scene(seed)
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for i, (left, top, right, bottom) in enumerate(given):
            x, y = (columns - (left + right) / 2) * 2, (rows - (top + bottom) / 2) * 2
            image[..., i] = 240 * ((x / (right - left)) ** 2 + (y / (bottom - top)) ** 2 <= 1)
        sample = image, given, labels
        image, boxes, classes = augment(sample, 2 * WIDTH, Augmentation(rotate=30), rng_of(seed))
        for box, label in zip(boxes, classes, strict=True):
            is_whole = (box > 0).all() and (box < 2 * WIDTH).all()
            if is_whole and min(given[label, 2:] - given[label, :2]) > 8:
                np.testing.assert_allclose(box, bounds(shown(image, label)), atol=2.5)
                size = given[label, 2:] - given[label, :2]
                turned += not np.allclose(box[2:] - box[:2], 2 * size, rtol=0.05)
    assert turned > 10


@pytest.mark.parametrize("seed", SEEDS)
def test_objects_of_a_mosaic_are_as_large_as_in_the_letterbox_of_detection(seed):
    image, given, _ = scene(seed, k=3)
    large = np.kron(image, np.ones((3, 3, 1), np.uint8)), given * 3, np.arange(3)  # 420 x 270
    empty = np.zeros_like(large[0]), np.zeros((0, 4), np.float32), np.arange(0)
    samples = [large if k == seed % 4 else empty for k in range(4)]
    image, boxes, classes = mosaic(samples, 100, 200, Augmentation(min_area=1.0), rng_of(seed))
    for box, label in zip(boxes, classes, strict=True):
        sizes = (given[label, 2:] - given[label, :2]) * 3 * 200 / 420
        np.testing.assert_allclose(box[2:] - box[:2], sizes, rtol=0.02)
        half_seen = image[..., label] >= 120 if min(sizes) >= 2 else image[..., label] > 0
        np.testing.assert_allclose(box, bounds(half_seen), atol=1)


@pytest.mark.parametrize("seed", range(10))
def test_a_window_has_an_object_whole_and_cuts_others_only_where_it_must(seed):
    left, middle, right = [5, 40, 25, 60], [50, 40, 60, 60], [62, 40, 72, 60]
    boxes = np.float32([left, middle, right])
    window = object_window((HEIGHT, WIDTH), boxes, (30, 30), rng_of(seed), tries=20)
    assert (window[2:] - window[:2] == 30).all() and (window >= 0).all()
    is_whole = ((boxes[:, :2] >= window[:2]) & (boxes[:, 2:] <= window[2:])).all(axis=1)
    is_seen = ((boxes[:, :2] < window[2:]) & (boxes[:, 2:] > window[:2])).all(axis=1)
    np.testing.assert_array_equal(is_whole, is_seen)
    assert is_whole.tolist() == [False, True, True]  # the most that one window can have


@pytest.mark.parametrize("boxes", [[], [[0, 0, WIDTH, HEIGHT]], [[0.4, 0.3, 10.6, 30.5]]])
@pytest.mark.parametrize("window_wh", [(30, 25), (200, 40), (30, 200), (300, 300), (0.2, 0.2)])
def test_a_window_stays_in_the_image_or_contains_it(boxes, window_wh):
    boxes = np.float32(boxes).reshape(-1, 4)
    windows = [object_window((HEIGHT, WIDTH), boxes, window_wh, rng_of(seed)) for seed in SEEDS]
    for (low, high), length, side in zip(
        np.reshape(windows, (-1, 2, 2)).T, (WIDTH, HEIGHT), window_wh, strict=True
    ):
        assert (high - low == max(1, round(side))).all()
        inside, around = (low >= 0) & (high <= length), (low <= 0) & (high >= length)
        assert (inside if side < length else around).all()
    assert len(np.unique(windows, axis=0)) > 1 or np.size(boxes) == 4 and window_wh[0] < 1


def test_mixup_has_both_images_and_all_boxes():
    red, blue = (
        (np.full((50, 50, 3), color, np.uint8), *scene(0, k)[1:])
        for k, color in enumerate([(250, 0, 0), (0, 0, 250)])
    )
    settings = Augmentation(mixup=1.0)
    image, boxes, classes = training_sample(red, lambda rng: blue, 50, 50, settings, rng_of(0))
    assert (image[..., [0, 2]] > 75).all() and (image[..., [0, 2]] < 175).all()
    assert sorted(classes) == [0, 1, 2, 3, 4, 5] and len(boxes) == 6
    alone = training_sample(red, None, 50, 50, settings._replace(mixup=0.0), rng_of(0))
    np.testing.assert_array_equal(alone[1], boxes[:3])


def noise(seed=0):
    return rng_of(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def test_the_seed_decides_everything():
    samples = [(noise(k), *scene(0, k)[1:]) for k in range(4)]
    copies = [[part.copy() for part in sample] for sample in samples]

    def made(seed):
        return training_sample(
            samples[0], lambda rng: samples[rng.integers(4)], 96, 128, ALL, rng_of(seed)
        )

    for seed in SEEDS:
        for ours, again in zip(made(seed), made(seed), strict=True):
            np.testing.assert_array_equal(ours, again)
    assert not np.array_equal(made(0)[0], made(1)[0])
    for sample, copy in zip(samples, copies, strict=True):  # what is passed in is not changed
        for part, before in zip(sample, copy, strict=True):
            np.testing.assert_array_equal(part, before)


def test_all_off_is_the_letterbox():
    boxes = scene(2)[1]
    image, moved, _ = augment((noise(), boxes, np.arange(3)), 96, Augmentation(), rng_of(0))
    np.testing.assert_array_equal(image, letterbox(noise(), (96, 96)))
    fit = letterbox_params((HEIGHT, WIDTH), (96, 96))
    np.testing.assert_array_equal(moved, boxes_to_letterbox(boxes, fit))


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (1, 1), (1, WIDTH), (HEIGHT, 1)])
def test_images_without_boxes_and_very_small_ones_can_be_augmented(shape):
    sample = np.zeros((*shape, 3), np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    settings = ALL._replace(translate=1.0)
    for seed in SEEDS:
        parts = training_sample(sample, lambda rng: sample, 64, 96, settings, rng_of(seed))
        assert [part.shape for part in parts] == [(64, 64, 3), (0, 4), (0,)]


COLORS = {"hue": 0.1, "saturation": 0.5, "value": 0.4, "contrast": 0.4}


def test_colours_change_but_neither_boxes_nor_the_grey_around():
    sample = noise(), *scene(2)[1:]
    expected = augment(sample, WIDTH, Augmentation(), rng_of(1))
    image, moved, _ = augment(sample, WIDTH, Augmentation(**COLORS), rng_of(1))
    np.testing.assert_array_equal(moved, expected[1])
    assert np.abs(image.astype(int) - expected[0])[25:115].mean() > 5
    assert (image[:25] == GREY).all() and (image[115:] == GREY).all()


def test_grey_stays_grey():
    grey = np.repeat(noise()[..., :1], 3, axis=2)
    for seed in SEEDS:
        changed = jitter_color(grey, Augmentation(**dict.fromkeys(COLORS, 1.0)), rng_of(seed))
        assert np.ptp(changed.astype(int), axis=2).max() <= 1


@pytest.mark.parametrize(("name", "channel"), [("hue", 0), ("saturation", 1), ("value", 2)])
def test_each_colour_setting_changes_its_channel_of_hsv_most(name, channel):
    image = (80 + noise() // 4).astype(np.uint8)  # far from black and white, where it would be cut
    before = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(int)
    changes = []
    for seed in SEEDS:
        changed = jitter_color(image, Augmentation(**{name: COLORS[name]}), rng_of(seed))
        change = cv2.cvtColor(changed, cv2.COLOR_RGB2HSV) - before
        change[..., 0] = (change[..., 0] + 90) % 180 - 90  # hue is a circle
        changes.append(np.abs(np.median(change, axis=(0, 1))) / [180 * 0.1, 255 * 0.3, 255 * 0.4])
    assert np.mean(changes, axis=0).argmax() == channel
    assert np.max(changes, axis=0)[channel] > 0.2
