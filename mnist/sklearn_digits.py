"""The offline digits: real handwriting that is installed with scikit-learn, drawn like MNIST.

They are the 1,797 8x8 digits of `sklearn.datasets.load_digits`, the test set of "Optical
Recognition of Handwritten Digits", https://archive.ics.uci.edu/dataset/80.
"""

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from mnist.scenes import SIDE, WHITE

DATA_FILE = "datasets/data/digits.csv.gz"  # in scikit-learn: 64 grey values and a label per line
DARKEST = 16  # the digits have grey values 0 to 16
TRAIN_COUNT = 1_500  # the first ones; the other 297 are the test
MARGIN = 4  # pixels, as in MNIST, whose digits fill 20x20
FINE_SIDE = 64  # pixels, where the smoothing happens
BLUR_SIGMA = 3.0  # pixels at FINE_SIDE, three eighths of one of the 8x8
EDGE = (0.25, 0.75)  # ink below is paper, above is full black: strokes get an edge again


def read_offline_digits() -> tuple[np.ndarray, ...]:
    """Read training images (N, 28, 28) uint8, labels (N,), and the same for the test.

    Only the data file is read: to import scikit-learn for it would take longer than all scenes.
    Raises OSError where scikit-learn is not installed.
    """
    package = find_spec("sklearn")
    if package is None:
        raise OSError("no MNIST here, and the offline digits need `pip install scikit-learn`")
    table = np.loadtxt(Path(package.origin).parent / DATA_FILE, np.float32, delimiter=",")
    coarse = table[:, :-1].reshape(-1, 8, 8) / DARKEST
    images = np.stack([draw_strokes(image) for image in coarse])
    labels = table[:, -1].astype(np.uint8)
    return images[:TRAIN_COUNT], labels[:TRAIN_COUNT], images[TRAIN_COUNT:], labels[TRAIN_COUNT:]


def draw_strokes(coarse: np.ndarray) -> np.ndarray:
    """Redraw an (8, 8) float digit in [0, 1] as (28, 28) uint8 pen strokes, white on black."""
    fine = cv2.resize(coarse, (FINE_SIDE, FINE_SIDE), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(fine, (0, 0), BLUR_SIGMA)
    low, high = EDGE
    fine = np.clip((fine - low) / (high - low), 0, 1)
    side = SIDE - 2 * MARGIN
    strokes = cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA)
    return np.pad(np.rint(strokes * WHITE).astype(np.uint8), MARGIN)
