"""A small network whose weights are all random, and images for it."""

import keras
import numpy as np

from yolov3.weights import load_state_dict, state_dict
from yolov3.yolov3 import build_yolov3

SIZE, CLASSES = 64, 2


def random_network() -> keras.Model:
    """Build a tiny network whose weights and batch statistics are all random."""
    model = build_yolov3(CLASSES, tiny=True)
    rng = np.random.default_rng(0)
    arrays = state_dict(model)
    for name, array in arrays.items():
        if name.startswith("bn_"):
            arrays[name] = rng.uniform(0.5, 1.5, array.shape).astype(np.float32)
        if name.endswith(("beta", "moving_mean")):
            arrays[name] -= 1
    arrays["conv_9/kernel"] *= 5  # the output convolutions: scores away from that of the bias
    arrays["conv_12/kernel"] *= 5
    load_state_dict(model, arrays)
    return model


def random_images() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    sizes_hw = [(64, 128), (100, 60), (64, 64), (33, 47)]
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes_hw]
