"""Tests of detection in a process whose weights never change, as the scripts for it run."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from yolov3.cli import run
from yolov3.configs import REPO
from yolov3.darknet import save_darknet_weights
from yolov3.detection import Detector
from yolov3.yolov3 import build_yolov3

SHAPES = ((1, 64, 64), (3, 64, 64), (1, 96, 160), (1, 64, 64))
RUN = """
import os, sys
from yolov3.cli.run import import_tensorflow
import_tensorflow(frozen_weights=True)
assert os.environ["TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"] == "1"
sys.path.insert(0, "tests/kernels")
from test_frozen_weights import run_network
run_network(*sys.argv[1:])
"""


def run_network(weights, output) -> None:
    """Write the fine raw map of a detector's network for an image of each of `SHAPES`."""
    network = Detector(weights, precision="float32").backend.network
    graph = tf.function(
        lambda images: network(images, training=False)[0],
        input_signature=[tf.TensorSpec([None, None, None, 3])],
    )
    rng = np.random.default_rng(0)
    np.savez(output, *(graph(rng.random((*shape, 3), np.float32)) for shape in SHAPES))


def test_raw_maps_are_the_same_for_every_size_and_batch(tmp_path):
    """The layout that TensorFlow keeps is that of the first image; later ones may want others."""
    weights, ours, theirs = (str(tmp_path / name) for name in ("a.weights", "1.npz", "2.npz"))
    save_darknet_weights(build_yolov3(2, tiny=True), weights)
    environment = {k: v for k, v in os.environ.items() if k != run.ASSUME_FROZEN_WEIGHTS}
    command = [sys.executable, "-c", RUN, weights, ours]
    subprocess.run(command, cwd=REPO, env=environment, check=True)
    run_network(weights, theirs)
    with np.load(ours) as frozen, np.load(theirs) as expected:
        assert len(expected.files) == len(SHAPES)
        for name in expected.files:
            assert expected[name].std() > 0.01
            np.testing.assert_allclose(frozen[name], expected[name], atol=1e-4)


@pytest.mark.parametrize(
    ("frozen", "outer", "inner"), [(False, "1", "0"), (True, "0", "0"), (True, None, "1")]
)
def test_training_never_assumes_it(monkeypatch, frozen, outer, inner):
    monkeypatch.delenv(run.ASSUME_FROZEN_WEIGHTS)
    if outer:
        monkeypatch.setenv(run.ASSUME_FROZEN_WEIGHTS, outer)
    run.import_tensorflow(frozen_weights=frozen)
    assert os.environ[run.ASSUME_FROZEN_WEIGHTS] == inner
