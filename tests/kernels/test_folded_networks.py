"""The networks as detection runs them, folded, in float32 and bfloat16, against the trained one."""

import darknet_cfg
import numpy as np
import pytest

from yolov3.darknet import open_darknet
from yolov3.detection import Detector

CLASSES = 3
# Largest errors of raw maps, in their standard deviations. bfloat16 keeps 8 bits of each number.
TOLERANCES = {"float32": 1e-4, "bfloat16": 0.06}


@pytest.mark.parametrize("tiny", [True, False], ids=["tiny", "full"])
def test_raw_maps_stay_within_the_tolerance_of_their_precision(tiny, tmp_path):
    path = tmp_path / "network.weights"
    darknet_cfg.write_weights(str(path), darknet_cfg.random_layers(tiny, CLASSES, seed=1))
    trained, _, _ = open_darknet(path)
    images = np.random.default_rng(2).random((1, 160, 224, 3), np.float32)
    expected = [raw.numpy() for raw in trained(images, training=False)]
    for precision, tolerance in TOLERANCES.items():
        network = Detector(path, precision=precision).network
        for raw, right in zip(network(images, training=False), expected, strict=True):
            error = np.abs(raw.numpy() - right).max() / right.std()
            assert error < tolerance, precision
            assert (error > 1e-3) == (precision == "bfloat16")  # it does compute in bfloat16
