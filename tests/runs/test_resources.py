"""Tests of what a run needs: refused in one line where it is clearly too much."""

import keras
import pytest

from yolov3.configs import Config
from yolov3.runs import resources
from yolov3.runs.resources import check_disk, check_memory, needed_memory, weight_bytes
from yolov3.train_step import TrainStep
from yolov3.yolov3 import build_yolov3

GB = 1e9
FLOAT_BYTES = 4
TINY = Config(tiny=True, train_batch_size=8)
# (tiny, input size, batch): GB at the peak of whole runs, from /usr/bin/time
MEASURED = {
    (False, 416, 1): 4.73,
    (False, 416, 2): 5.22,
    (False, 416, 4): 6.12,
    (False, 224, 4): 4.81,
    (True, 416, 4): 1.70,
    (True, 416, 8): 2.12,
    (True, 224, 8): 1.60,
}


@pytest.mark.parametrize("run", MEASURED, ids=str)
def test_estimate_is_what_was_measured(run):
    tiny, size, batch = run
    config = Config(tiny=tiny, train_input_size=size, train_batch_size=batch)
    assert needed_memory(config, 10, "float32") == pytest.approx(MEASURED[run] * GB, rel=0.12)


def test_largest_share_of_the_input_size_counts():
    whole = needed_memory(TINY, 10, "float32")
    half = Config(tiny=True, train_batch_size=8, train_input_scales=(0.5, 0.25))
    expected = Config(tiny=True, train_batch_size=8, train_input_size=416 // 2 // 32 * 32)
    assert needed_memory(half, 10, "float32") < whole
    assert needed_memory(half, 10, "float32") == pytest.approx(
        needed_memory(expected, 10, "float32"), rel=0.1
    )


@pytest.mark.parametrize("tiny", [False, True])
def test_weights_are_those_of_the_network(tiny):
    expected = FLOAT_BYTES * build_yolov3(80, tiny).count_params()
    assert weight_bytes(Config(tiny=tiny), 80) == expected


def test_last_checkpoint_is_as_large_as_said():
    learner = TrainStep(TINY, 10, 5, "float32")
    in_resume = sum(keras.ops.size(value) for value in learner.variables().values())
    in_model = learner.average.count_params()
    said = resources.SETS_IN_LAST * weight_bytes(TINY, 10)
    assert FLOAT_BYTES * int(in_resume + in_model) == pytest.approx(said, rel=0.01)


def test_too_little_memory_names_need_and_flags(monkeypatch):
    monkeypatch.setattr(resources, "available_memory", lambda: int(1.2 * GB))
    expected = (
        "memory: expected about 2.2 GB, for yolov3-tiny at 416 px in batches of 8; "
        "received 1.2 GB; choose a smaller --train-batch-size or --train-input-size$"
    )
    with pytest.raises(ValueError, match=expected):
        check_memory(TINY, 10, "float32")
    with pytest.raises(ValueError, match="expected about 8.0 GB, for yolov3 .* or --tiny$"):
        check_memory(Config(train_batch_size=8), 10, "float32")


@pytest.mark.parametrize("available", [None, int(2.1 * GB), int(2.0 * GB), int(50 * GB)])
def test_unknown_enough_and_almost_enough_memory_will_do(monkeypatch, available):
    monkeypatch.setattr(resources, "available_memory", lambda: available)
    check_memory(TINY, 10, "float32")


def disk_of(monkeypatch, free):
    monkeypatch.setattr(resources, "available_disk", lambda folder: int(free))


def test_too_little_disk_names_need_and_folder(monkeypatch):
    # A best, two lasts and one more aside: 1 + 3 * 5 sets of weights.
    needed = 16 * weight_bytes(TINY, 10)
    disk_of(monkeypatch, needed)
    check_disk(TINY, 10, None)
    disk_of(monkeypatch, needed - 1)
    expected = (
        "checkpoints: expected 0.6 GB of free disk, .*; received 0.6 GB; .*checkpoints-folder"
    )
    with pytest.raises(ValueError, match=expected):
        check_disk(TINY, 10, None)


def test_checkpoints_that_are_there_need_no_more_disk(monkeypatch, tmp_path):
    one = weight_bytes(TINY, 10)
    for name, sets in {"best-000007": 1, "last-000008": 5, "last-000007": 5, "log": 9}.items():
        (tmp_path / name).mkdir()
        with open(tmp_path / name / "weights", "wb") as stream:
            stream.truncate(sets * one)  # takes no space
    disk_of(monkeypatch, 5 * one)
    check_disk(TINY, 10, tmp_path)
    with pytest.raises(ValueError, match="expected 0.6 GB of free disk"):
        check_disk(TINY, 10, None)
    disk_of(monkeypatch, 5 * one - 1e5)
    expected = f"{tmp_path}: expected 0.2 GB of free disk.*move this folder"
    with pytest.raises(ValueError, match=expected):
        check_disk(TINY, 10, tmp_path)
