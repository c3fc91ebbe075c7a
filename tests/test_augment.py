"""Augmentation: every box follows its pixels; only a mosaic cuts boxes, and drops small rests."""

import numpy as np
import pytest

from yolov3.augment import (
    Augmentation,
    augment,
    crop_window,
    jitter_color,
    mosaic,
    object_window,
    random_window,
)
from yolov3.images import GREY

STRONG = Augmentation(flip=0.5, crop=1.0, scale=0.5, translate=0.3, color=0.0)
HEIGHT, WIDTH = 90, 140
SEEDS = range(40)


def rng_of(seed):
    return np.random.default_rng(seed)


def scene(seed, count=3):
    """Return a black image with `count` rectangles, each of a colour of its own, and their boxes.

    The rectangles lie in columns of their own, so that none covers another.
    """
    rng = rng_of(seed)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    boxes = []
    for i in range(count):
        left, right = i * WIDTH // count, (i + 1) * WIDTH // count
        x = np.sort(rng.choice(np.arange(left, right + 1), 2, replace=False))
        y = np.sort(rng.choice(HEIGHT + 1, 2, replace=False))
        image[y[0] : y[1], x[0] : x[1], i] = 255
        boxes.append([x[0], y[0], x[1], y[1]])
    return image, np.array(boxes, np.float32)


def bounds(mask):
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def found(image, count=3):
    """Return where the rectangles of a scene are, from their pixels alone."""
    return np.array([bounds((image == np.eye(3)[i] * 255).all(axis=2)) for i in range(count)])


@pytest.mark.parametrize("seed", SEEDS)
def test_every_box_is_where_its_pixels_are_and_as_large_as_before(seed):
    image, boxes = scene(seed)
    changed, moved = augment(image, boxes, STRONG, rng_of(seed))
    np.testing.assert_array_equal(moved, found(changed))
    _, moved_float = augment(image, boxes + np.float32(0.25), STRONG, rng_of(seed))
    sizes_wh = boxes[:, 2:] - boxes[:, :2]
    for after in (moved, moved_float):
        np.testing.assert_array_equal(after[:, 2:] - after[:, :2], sizes_wh)
    assert changed.dtype == np.uint8 and moved.dtype == np.float32


@pytest.mark.parametrize(
    "settings",
    [Augmentation(flip=1.0), Augmentation(crop=1.0), Augmentation(translate=0.3)],
    ids=str,
)
def test_each_part_moves_boxes_on_its_own(settings):
    moves = 0
    for seed in SEEDS:
        image, boxes = scene(seed)
        changed, moved = augment(image, boxes, settings, rng_of(seed))
        np.testing.assert_array_equal(moved, found(changed))
        moves += not np.array_equal(moved, boxes)
    assert moves > len(SEEDS) / 2


@pytest.mark.parametrize("seed", SEEDS)
def test_the_window_holds_all_boxes_and_keeps_to_its_limits(seed):
    _, boxes = scene(seed)
    left, top, right, bottom = random_window((HEIGHT, WIDTH), boxes, STRONG, rng_of(seed))
    assert (boxes[:, :2] >= [left, top]).all() and (boxes[:, 2:] <= [right, bottom]).all()
    assert right - left <= WIDTH * 1.5 + 2 and bottom - top <= HEIGHT * 1.5 + 2


def test_crops_cut_from_all_four_sides():
    boxes = np.float32([[60, 40, 80, 50]])
    settings = Augmentation(crop=1.0)
    windows = [random_window((HEIGHT, WIDTH), boxes, settings, rng_of(seed)) for seed in SEEDS]
    cuts = np.abs(np.mean(windows, axis=0) - [0, 0, WIDTH, HEIGHT])
    assert (cuts > 0.25 * np.array([60, 40, 60, 40])).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_an_image_without_boxes_keeps_at_least_half(seed):
    image, no_boxes = noise(), np.zeros((0, 4), np.float32)
    changed, boxes = augment(image, no_boxes, Augmentation(crop=1.0, flip=0.5), rng_of(seed))
    assert boxes.shape == (0, 4)
    assert changed.shape[0] >= HEIGHT / 2 and changed.shape[1] >= WIDTH / 2


def noise(seed=0):
    return rng_of(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def test_a_window_beyond_the_image_is_grey_there():
    changed, boxes = crop_window(noise(), np.float32([[10, 20, 30, 40]]), (-5, -7, 145, 93))
    assert changed.shape == (100, 150, 3)
    np.testing.assert_array_equal(changed[7:97, 5:145], noise())
    for bar in (changed[:7], changed[97:], changed[:, :5], changed[:, 145:]):
        assert bar.size and (bar == GREY).all()
    np.testing.assert_array_equal(boxes, [[15, 27, 35, 47]])


def test_the_seed_decides_everything():
    image, boxes = scene(3)
    settings = STRONG._replace(color=0.5)
    copies = image.copy(), boxes.copy()
    first, again, other = (augment(image, boxes, settings, rng_of(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(image, copies[0])  # what is passed in is not changed
    np.testing.assert_array_equal(boxes, copies[1])
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


def test_all_off_is_identity():
    image, boxes = noise(), scene(2)[1]
    changed, moved = augment(image, boxes, Augmentation(), rng_of(0))
    np.testing.assert_array_equal(changed, image)
    np.testing.assert_array_equal(moved, boxes)


def test_colours_change_but_boxes_do_not():
    image, boxes = noise(), scene(2)[1]
    changed, moved = augment(image, boxes, Augmentation(color=0.5), rng_of(1))
    assert changed.shape == image.shape and changed.dtype == np.uint8
    assert np.abs(changed.astype(int) - image).mean() > 5
    np.testing.assert_array_equal(moved, boxes)


def test_colours_keep_grey_grey_and_black_and_white_in_range():
    grey = np.repeat(noise()[..., :1], 3, axis=2)
    for seed in SEEDS:
        changed = jitter_color(grey, 1.0, rng_of(seed)).astype(int)
        assert np.ptp(changed, axis=2).max() <= 1


# Mosaics: four images of three rectangles each, whose shades tell which is which

CANVAS = 100


def shaded_samples(seed):
    """Return four samples, in the k-th of which the rectangles have the shade 60 (k + 1)."""
    samples = []
    for k in range(4):
        image, boxes = scene(4 * seed + k)
        samples.append((image // 255 * 60 * (k + 1), boxes, 3 * k + np.arange(3, dtype=np.int32)))
    return samples


def shade_of(label):
    return np.eye(3, dtype=int)[label % 3] * 60 * (label // 3 + 1)


@pytest.mark.parametrize("min_area", [0.3, 1.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_mosaic_has_the_boxes_of_which_its_pixels_show_enough(seed, min_area):
    settings, samples = Augmentation(flip=0.5, min_area=min_area), shaded_samples(seed)
    image, boxes, classes = mosaic(samples, CANVAS, WIDTH, settings, rng_of(seed))
    assert image.shape == (CANVAS, CANVAS, 3) and (image.dtype, boxes.dtype) == (
        np.uint8,
        np.float32,
    )
    labels, given = list(classes), np.concatenate([one for _, one, _ in samples])
    assert len(boxes) == len(labels) == len(set(labels))
    for label, (left, top, right, bottom) in enumerate(given):
        shown = (image == shade_of(label)).all(axis=2)
        assert (label in labels) == (shown.sum() >= min_area * (right - left) * (bottom - top))
        if label in labels:
            np.testing.assert_array_equal(boxes[labels.index(label)], bounds(shown))


@pytest.mark.parametrize("seed", SEEDS)
def test_objects_of_a_mosaic_are_as_large_as_in_the_letterbox_of_detection(seed):
    image, given = scene(seed)
    large = np.kron(image, np.ones((3, 3, 1), np.uint8)), given * 3, np.arange(3)  # 420 x 270
    empty = np.zeros_like(large[0]), np.zeros((0, 4), np.float32), np.arange(0)
    samples = [large if k == seed % 4 else empty for k in range(4)]
    image, boxes, classes = mosaic(samples, CANVAS, 200, Augmentation(min_area=1.0), rng_of(seed))
    for box, label in zip(boxes, classes, strict=True):
        sizes = (given[label, 2:] - given[label, :2]) * 3 * 200 / 420
        np.testing.assert_allclose(box[2:] - box[:2], sizes, rtol=0.02)
        half_seen = image[..., label] >= 128 if min(sizes) >= 2 else image[..., label] > 0
        np.testing.assert_allclose(box, bounds(half_seen), atol=1)


@pytest.mark.parametrize("seed", range(10))
def test_a_window_has_an_object_whole_and_cuts_others_only_where_it_must(seed):
    left, middle, right = [5, 40, 25, 60], [50, 40, 60, 60], [62, 40, 72, 60]
    boxes = np.float32([left, middle, right])
    window = object_window((HEIGHT, WIDTH), boxes, (30, 30), rng_of(seed))
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
