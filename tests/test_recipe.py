"""The default recipe learns: a real training, on small scenes of the offline digits."""

import re
import subprocess

import numpy as np
import pytest
from script_runs import command, environment

from mnist.make_data import ROOT
from mnist.scene_files import SplitWriter
from mnist.scenes import make_scenes
from mnist.sklearn_digits import read_offline_digits


@pytest.mark.slow
def test_yolov3_tiny_finds_digits_after_eight_epochs(tmp_path):
    images, labels, test_images, test_labels = read_offline_digits()
    for name, digits, count in (
        ("train", (images, labels), 400),
        ("test", (test_images, test_labels), 40),
    ):
        with SplitWriter(tmp_path, name) as writer:
            writer.draw(make_scenes(*digits, count, 160, np.random.default_rng(count)))
            writer.install()
    flags = [
        *("--tiny", "--train-input-size=160", "--train-epochs=8"),
        f"--train-classes={ROOT / 'mnist' / 'mnist.names'}",
        *(f"--train-annot-path={tmp_path}/train.txt", f"--test-annot-path={tmp_path}/test.txt"),
    ]
    done = subprocess.run(
        command("train.py", *flags),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    values = [float(value) for value in re.findall(r"mAP50 ([0-9.]+)", done.stderr)]
    assert len(values) >= 8 and max(values) > 0.5, values
