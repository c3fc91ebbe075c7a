"""Tests of one checkpoint: an exact round trip, and which ones are kept."""

import numpy as np
from checkpoint_samples import RESUME, WEIGHTS, flip_a_byte, names, save

from yolov3.checkpoints import open_checkpoint
from yolov3.configs import Config


def test_round_trip_is_exact(tmp_path):
    folder = save(tmp_path / "run", "last", 750, ap=0.25)
    checkpoint = open_checkpoint(folder)
    for ours, theirs in ((checkpoint.weights(), WEIGHTS), (checkpoint.resume_state(), RESUME)):
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            their = np.asarray(theirs[name])
            assert (value.dtype, value.shape) == (their.dtype, their.shape)
            assert value.tobytes() == their.tobytes()
    assert checkpoint.config == Config(tiny=True, seed=3)
    assert checkpoint.class_names == ["zero", "one two"]
    assert (checkpoint.step, checkpoint.epoch, checkpoint.input_size) == (750, 3, 416)
    assert checkpoint.metrics == {"AP": 0.25, "AP50": 0.9}
    assert (checkpoint.best_mAP, checkpoint.best_size) == (0.5, 416)


def test_one_best_and_two_last_are_kept(tmp_path):
    for step in (100, 200, 300, 400):
        save(tmp_path, "best", step, ap=0.1)
        save(tmp_path, "last", step, ap=0.1)
    assert names(tmp_path) == ["best-000400", "last-000300", "last-000400"]


def test_one_just_written_is_kept_though_others_have_more_steps(tmp_path):
    save(tmp_path, "best", 400, ap=0.1)
    save(tmp_path, "best", 300, ap=0.2)  # after resuming from an earlier one
    assert names(tmp_path) == ["best-000300"]


def test_same_step_again_replaces(tmp_path):
    save(tmp_path, "last", 5)
    folder = save(tmp_path, "last", 5, weights={"other": np.ones(3, np.float32)})
    assert list(open_checkpoint(folder).weights()) == ["other"]


def test_going_on_from_an_earlier_one_keeps_that_one_and_no_later_ones(tmp_path):
    for step in (100, 200):
        save(tmp_path, "last", step)
    damaged = save(tmp_path, "last", 300)
    flip_a_byte(damaged, "model.safetensors")
    save(tmp_path, "last", 250)
    assert names(tmp_path) == ["last-000200", "last-000250"]
