"""What every source of digits delivers, and the check that it does."""

from dataclasses import dataclass

import numpy as np

SIDE = 28  # pixels, the width and height of every digit
NUM_LABELS = 10
WHITE = 255
MIN_INK = 64  # of 255; a digit without a brighter pixel could not be seen in a scene


@dataclass(frozen=True)
class Digits:
    """Training and test digits: images (N, 28, 28) uint8 white on black, labels (N,) 0 to 9.

    `source` tells where they come from and why. Raises ValueError for arrays of another kind and
    for a digit that cannot be seen.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str

    def __post_init__(self):
        _check("training", self.train_images, self.train_labels)
        _check("test", self.test_images, self.test_labels)


def _check(part: str, images: np.ndarray, labels: np.ndarray) -> None:
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE) or not len(images):
        raise ValueError(f"{part} images {images.dtype} {images.shape}, not uint8 (N, 28, 28)")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(f"{part} labels {labels.dtype} {labels.shape} for {len(images)} images")
    if labels.min() < 0 or labels.max() >= NUM_LABELS:
        raise ValueError(f"{part} labels from {labels.min()} to {labels.max()}, not 0 to 9")
    blank = images.max(axis=(1, 2)) < MIN_INK
    if blank.any():
        raise ValueError(f"a blank image, number {blank.argmax()} of the {part} images")
