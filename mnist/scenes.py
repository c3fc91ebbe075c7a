"""Compose scenes: dark digits of three sizes on white ground, none hidden by another."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

SIDE = 28  # pixels, the width and height of every digit
WHITE = 255
# Scales and largest number in one scene; large ones first, as they are the hardest to place.
GROUPS = (((3.0, 4.0), 3), ((1.0, 2.0), 6), ((0.5, 0.8), 3))
MAX_OVERLAP = 0.05  # of the smaller of two boxes, so a large digit cannot bury a small one
MAX_TRIES = 100  # places tried for one digit before it is left out
BLOCK = 1_000  # scenes laid out together; bounds the memory


class Scene(NamedTuple):
    """An image (size, size) uint8 grey, its boxes_xyxy (N, 4) int and labels (N,)."""

    image: np.ndarray
    boxes_xyxy: np.ndarray
    labels: np.ndarray


def make_scenes(
    images: np.ndarray, labels: np.ndarray, count: int, size: int, rng: np.random.Generator
) -> Iterator[Scene]:
    """Compose `count` scenes of size x size pixels from digits (N, 28, 28) and labels (N,).

    A box is the pasted square of a digit, right and bottom edge exclusive. Every scene has
    at least one digit. `size` is at least that of the largest digit, 112 pixels.
    """
    for start in range(0, count, BLOCK):
        sides = draw_sides(min(BLOCK, count - start), rng)  # (S, K)
        digits = rng.integers(0, len(images), sides.shape)  # (S, K)
        for slots_xyxy, chosen in zip(place(sides, size, rng), digits, strict=True):
            placed = slots_xyxy[:, 2] > 0
            boxes_xyxy, chosen = slots_xyxy[placed], chosen[placed]
            yield Scene(paste(images[chosen], boxes_xyxy, size), boxes_xyxy, labels[chosen])


def draw_sides(count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the sides (S, K) in pixels of the digits of S scenes; 0 where there is none.

    All numbers of large, medium and small digits are equally likely, but for none at all.
    """
    choices = [most + 1 for _, most in GROUPS]
    combinations = rng.integers(1, np.prod(choices), count)  # 0 would be the empty scene
    numbers = np.unravel_index(combinations, choices)
    columns = []
    for ((low, high), most), number in zip(GROUPS, numbers, strict=True):
        sides = np.rint(SIDE * rng.uniform(low, high, (count, most))).astype(np.int32)
        columns.append(np.where(np.arange(most) < number[:, None], sides, 0))
    return np.concatenate(columns, axis=1)


def place(sides: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Place squares of sides (S, K) in S scenes; return boxes_xyxy (S, K, 4), zeros if left out.

    All scenes advance together: digit k of each is thrown at random until it overlaps none of
    digits 0 to k - 1, at most MAX_TRIES times.
    """
    boxes_xyxy = np.zeros((*sides.shape, 4), np.int32)
    for k in range(sides.shape[1]):
        waiting = np.flatnonzero(sides[:, k])
        for _ in range(MAX_TRIES):
            if not len(waiting):
                break
            side = sides[waiting, k, None]  # (W, 1)
            corner = rng.integers(0, size - side + 1, (len(waiting), 2))
            thrown = np.concatenate([corner, corner + side], axis=1)  # (W, 4)
            overlap = overlap_of_smaller(thrown[:, None], boxes_xyxy[waiting, :k])  # (W, k)
            fits = (overlap <= MAX_OVERLAP).all(axis=1)
            boxes_xyxy[waiting[fits], k] = thrown[fits]
            waiting = waiting[~fits]
    return boxes_xyxy


def overlap_of_smaller(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """Return the shared area of boxes (..., 4) as a fraction of the smaller one; 0 if it is empty.

    IoU does not serve: a 112 pixel box that covers one of 14 pixels has an IoU of only 0.016.
    """
    low = np.maximum(a_xyxy[..., :2], b_xyxy[..., :2])
    high = np.minimum(a_xyxy[..., 2:], b_xyxy[..., 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (a_xyxy, b_xyxy)]
    return shared / np.maximum(np.minimum(*areas), 1)


def paste(images: np.ndarray, boxes_xyxy: np.ndarray, size: int) -> np.ndarray:
    """Draw digits (N, 28, 28), white on black, dark into their boxes of a white scene.

    The darker pixel wins, so the white corner of one square erases nothing of another.
    """
    scene = np.full((size, size), WHITE, np.uint8)
    for image, (left, top, right, bottom) in zip(images, boxes_xyxy.tolist(), strict=True):
        side = right - left
        smooth = cv2.INTER_AREA if side < SIDE else cv2.INTER_LINEAR
        digit = WHITE - cv2.resize(image, (side, side), interpolation=smooth)
        ground = scene[top:bottom, left:right]
        np.minimum(ground, digit, out=ground)
    return scene
