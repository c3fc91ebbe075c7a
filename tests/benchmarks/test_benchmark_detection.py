"""Tests of the detection benchmark with what every user has: no other engine than this one."""

import numpy as np
import pytest

from benchmarks import detection_engines
from benchmarks.detection import TOLERANCES
from benchmarks.detection_files import write_files
from benchmarks.detection_parts import OTHER_SIZES, measure_parts
from benchmarks.detection_tables import print_parts

SIZE, CLASSES = 64, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    write_files(folder, CLASSES, tiny=True, size=SIZE)
    return folder


def test_network_of_the_benchmark_agrees_with_the_one_that_is_trained(folder):
    image, expected = detection_engines.read_expected(folder)
    assert image.shape == (1, SIZE, SIZE, 3)
    assert [raw.shape for raw in expected] == [(1, 4, 4, 3, 7), (1, 2, 2, 3, 7)]
    run, _ = detection_engines.repository(folder, np.repeat(image, 2, axis=0), "float32")
    assert detection_engines.error_of(run(), expected) < TOLERANCES["float32"]


def test_other_engines_get_all_convolutions_as_they_are(folder):
    with np.load(folder / detection_engines.FOLDED) as weights:
        shapes = {name: weights[name].shape for name in weights.files}
    assert set(shapes) == {f"conv_{i}/{part}" for i in range(13) for part in ("kernel", "bias")}
    assert shapes["conv_3/kernel"] == (3, 3, 64, 128)  # not transformed, as ours is
    assert shapes["conv_12/bias"] == (3 * (5 + CLASSES),)


def test_parts_around_the_network(folder, capsys):
    facts = measure_parts(folder, SIZE, rounds=1, images=20, precision="float32")
    assert facts["traces"] == 1 and facts["sizes"] == OTHER_SIZES + 1
    assert all(milliseconds > 0 for milliseconds in facts["milliseconds"].values())
    facts["milliseconds"] = {"network": 50.0, "read": 1.0, "letterbox": 2.0}
    facts["milliseconds"] |= {"NMS": 0.5, "boxes back": 0.5}
    print_parts("title", facts, images=20)
    assert "| all of these around it | 4.00 | 8.0% |" in capsys.readouterr().out
