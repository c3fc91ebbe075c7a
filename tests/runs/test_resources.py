"""What a run needs and the machine has: refused in one line where it is clearly too much."""

import keras
import pytest

from yolov3.configs import Config
from yolov3.runs import resources
from yolov3.runs.resources import (
    available_memory,
    check_disk,
    check_memory,
    needed_memory,
    weight_bytes,
)
from yolov3.train_step import TrainStep
from yolov3.yolov3 import build_yolov3

GB = 1e9
FLOAT_BYTES = 4
TINY = Config(tiny=True, train_batch_size=8)
# (tiny, input size, batch): GB at the peak of whole runs, from /usr/bin/time
MEASURED = {
    (False, 416, 1): 4.73,
    (False, 416, 2): 5.00,
    (False, 416, 4): 6.11,
    (False, 224, 4): 4.81,
    (True, 416, 4): 1.86,
    (True, 416, 8): 2.46,
    (True, 224, 8): 1.66,
}


@pytest.mark.parametrize("run", MEASURED, ids=str)
def test_estimate_is_what_was_measured(run):
    tiny, size, batch = run
    config = Config(tiny=tiny, train_input_size=size, train_batch_size=batch)
    assert needed_memory(config, 10, "float32") == pytest.approx(MEASURED[run] * GB, rel=0.12)


@pytest.mark.parametrize("tiny", [False, True])
def test_weights_are_those_of_the_network(tiny):
    expected = FLOAT_BYTES * build_yolov3(80, tiny).count_params()
    assert weight_bytes(Config(tiny=tiny), 80) == expected


def test_last_checkpoint_is_as_large_as_said():
    train_step = TrainStep(TINY, 10, 5, "float32")
    in_resume = sum(keras.ops.size(value) for value in train_step.variables().values())
    in_model = train_step.ema.count_params()
    said = resources.SETS_IN_LAST * weight_bytes(TINY, 10)
    assert FLOAT_BYTES * int(in_resume + in_model) == pytest.approx(said, rel=0.01)


def test_too_little_memory_names_need_and_flags(monkeypatch):
    monkeypatch.setattr(resources, "available_memory", lambda: int(1.2 * GB))
    expected = (
        "^yolov3-tiny at 416 px in batches of 8 needs about 2.5 GB of memory; there is 1.2 GB; "
        "choose a smaller --train-batch-size or --train-input-size$"
    )
    with pytest.raises(ValueError, match=expected):
        check_memory(TINY, 10, "float32")
    with pytest.raises(ValueError, match="needs about 8.0 GB of memory.* or --tiny$"):
        check_memory(Config(train_batch_size=8), 10, "float32")


@pytest.mark.parametrize("available", [None, int(2.4 * GB), int(2.3 * GB), int(50 * GB)])
def test_unknown_enough_and_almost_enough_memory_will_do(monkeypatch, available):
    monkeypatch.setattr(resources, "available_memory", lambda: available)
    check_memory(TINY, 10, "float32")


def test_too_little_disk_names_need_and_folder(monkeypatch):
    # A best, two lasts and one more aside: 1 + 3 * 5 sets of weights.
    needed = 16 * weight_bytes(TINY, 10)
    monkeypatch.setattr(resources, "available_disk", lambda folder: needed)
    check_disk(TINY, 10, None)
    monkeypatch.setattr(resources, "available_disk", lambda folder: needed - 1)
    expected = "checkpoints: .* need 0.6 GB of free disk; there is 0.6 GB; .*checkpoints-folder"
    with pytest.raises(ValueError, match=expected):
        check_disk(TINY, 10, None)


def test_checkpoints_that_are_there_need_no_more_disk(monkeypatch, tmp_path):
    one = weight_bytes(TINY, 10)
    for name, sets in {"best-000007": 1, "last-000008": 5, "last-000007": 5, "log": 9}.items():
        (tmp_path / name).mkdir()
        with open(tmp_path / name / "weights", "wb") as stream:
            stream.truncate(sets * one)  # takes no space
    monkeypatch.setattr(resources, "available_disk", lambda folder: 5 * one)
    check_disk(TINY, 10, tmp_path)
    with pytest.raises(ValueError, match="need 0.6 GB of free disk"):
        check_disk(TINY, 10, None)
    monkeypatch.setattr(resources, "available_disk", lambda folder: 5 * one - 100_000)
    expected = f"{tmp_path}: .* need 0.2 GB of free disk.*move this folder"
    with pytest.raises(ValueError, match=expected):
        check_disk(TINY, 10, tmp_path)


MB = 1 << 20


@pytest.mark.parametrize(
    ("limit", "usage", "cache", "left"),
    [
        (None, 0, 0, 1000),  # no control groups
        ("max", 0, 0, 1000),
        (700 * MB, 200, 50, 550),
        (5000 * MB, 0, 0, 1000),
        (100 * MB, 150, 0, 0),
    ],
)
def test_memory_is_what_linux_and_the_container_leave(tmp_path, limit, usage, cache, left):
    files = {
        "proc/meminfo": "MemTotal: 2048000 kB\nMemAvailable: 1024000 kB\n",
        "proc/self/status": "Name:\tpython\nVmRSS:\t  102400 kB\n",
    }
    if limit is not None:
        files["sys/fs/cgroup/memory.max"] = f"{limit}\n"
        files["sys/fs/cgroup/memory.current"] = f"{usage * MB}\n"
        files["sys/fs/cgroup/memory.stat"] = f"anon 5\ninactive_file {cache * MB}\n"
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_memory(tmp_path) == (left + 100) * MB


def test_other_systems_do_not_tell_their_memory(tmp_path):
    assert available_memory(tmp_path) is None
