"""Tests of the detection benchmark with what every user has: no other engine than this one."""

import numpy as np
import pytest

from benchmarks import detection_engines
from benchmarks.detection import SLOW, TOLERANCES, parse_args
from benchmarks.detection_files import write_files
from benchmarks.detection_parts import OTHER_SIZES, measure_parts
from benchmarks.detection_tables import print_engines, print_parts
from benchmarks.timing import Times

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


def test_error_is_in_standard_deviations_and_sees_either_layout():
    expected = np.random.default_rng(0).normal(0, 5, (1, 4, 4, 3, 7)).astype(np.float32)
    channels_first = expected.reshape(1, 4, 4, 21).transpose(0, 3, 1, 2)
    twice = np.repeat(channels_first, 2, axis=0)
    assert detection_engines.error_of([twice], [expected]) == 0
    twice[1, 20, 3, 2] += 10
    error = detection_engines.error_of([twice], [expected])
    assert error == pytest.approx(10 / expected.std(), rel=1e-4)


def test_parts_around_the_network(folder, capsys):
    facts = measure_parts(folder, SIZE, rounds=1, images=20, precision="float32")
    assert facts["traces"] == 1 and facts["sizes"] == OTHER_SIZES + 1
    assert all(milliseconds > 0 for milliseconds in facts["milliseconds"].values())
    facts["milliseconds"] = {"network": 50.0, "read": 1.0, "letterbox": 2.0}
    facts["milliseconds"] |= {"suppression": 0.5, "boxes back": 0.5}
    print_parts("title", facts, images=20)
    assert "| all of these around it | 4.00 | 8.0% |" in capsys.readouterr().out


def test_table_of_engines(capsys):
    facts = {"runs": 2, "error": 1e-5, "versions": "1.0"}
    ours = Times("ours", facts, [0.8, 0.4], [1.6, 1.6], [100.0, 200.0])
    theirs = Times("theirs", facts | {"runs": 1}, [0.5, 0.25], [1.0, 1.0], [300.0, 300.0])
    print_engines("title", [ours, theirs], batch=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("| ours | 300.0 | 200.0 to 400.0 | 3.3 | 800 | 1.00 | 200 |")
    assert lines[-1].startswith("| theirs | 375.0 | 250.0 to 500.0 | 2.7 | 1000 | 0.80 | 300 |")


def test_quick_is_small_and_does_not_wait_for_a_compiler():
    args = parse_args(["--quick"])
    assert args.networks == ["yolov3-tiny"] and SLOW not in args.engines
    assert SLOW in parse_args(["--all"]).engines
