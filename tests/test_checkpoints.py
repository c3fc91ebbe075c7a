"""Checkpoints: an exact round trip, which ones are kept, and which one is found."""

import os

import numpy as np
import pytest
from checkpoint_samples import RESUME, WEIGHTS, delete, flip_a_byte, names, save, truncate

from yolov3.checkpoints import find_checkpoint, open_checkpoint
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
    assert checkpoint.metrics == {"mAP": 0.25, "mAP50": 0.9}
    assert (checkpoint.best_mAP, checkpoint.best_size) == (0.5, 416)


def test_one_best_and_two_last_are_kept(tmp_path):
    for step in (100, 200, 300, 400):
        save(tmp_path, "best", step, ap=0.1)
        save(tmp_path, "last", step, ap=0.1)
    assert names(tmp_path) == ["best-000400", "last-000300", "last-000400"]


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


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o007, 0o660), (0o077, 0o600)])
def test_files_have_the_mode_of_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        folder = save(tmp_path, "last", 5)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {mode}


# The search


def test_itself_its_run_and_the_runs_all_lead_to_the_best(tmp_path):
    best = save(tmp_path / "run", "best", 500, ap=0.8)
    last = save(tmp_path / "run", "last", 750, ap=0.7)
    for path in (best, tmp_path / "run", tmp_path):
        assert find_checkpoint(path).path == best
    for path in (last, tmp_path / "run", tmp_path):
        assert find_checkpoint(path, "last").path == last
    copy = best.rename(tmp_path / "my favourite")
    assert find_checkpoint(copy).step == 500


@pytest.mark.parametrize("kind", ["best", "last"])
def test_of_several_runs_the_one_written_to_last_counts(tmp_path, kind):
    save(tmp_path / "z", kind, 900, ap=0.9)
    newer = save(tmp_path / "a", kind, 100, ap=0.1)
    (tmp_path / "empty").mkdir()
    os.utime(tmp_path / "z", (1, 1))
    assert find_checkpoint(tmp_path, kind).path == newer


def test_without_a_best_one_the_last_will_do(tmp_path):
    save(tmp_path, "last", 100)
    last = save(tmp_path, "last", 200)
    assert find_checkpoint(tmp_path).path == last
    best = save(tmp_path, "best", 50)
    assert find_checkpoint(tmp_path).path == best


@pytest.mark.parametrize("damage", [flip_a_byte, truncate, delete])
@pytest.mark.parametrize(
    "name",
    ["model.safetensors", "resume.safetensors", "config.json", "state.json", "checksums.json"],
)
@pytest.mark.parametrize("kind", ["best", "last"])
def test_damaged_one_is_named_and_the_one_before_is_taken(tmp_path, kind, damage, name):
    before = save(tmp_path, "last", 100, ap=0.1)
    newest = save(tmp_path, "last", 200, ap=0.2)
    damage(newest, name)
    warnings = []
    assert find_checkpoint(tmp_path, kind, warnings.append).path == before
    assert len(warnings) == 1 and str(newest) in warnings[0]
    with pytest.raises(ValueError, match="last-000200: damaged checkpoint: "):
        find_checkpoint(newest)


def test_a_run_of_damaged_ones_gives_way_to_the_one_before(tmp_path):
    before = save(tmp_path / "a", "last", 100)
    os.utime(tmp_path / "a", (1, 1))
    delete(save(tmp_path / "b", "last", 200), "config.json")
    assert find_checkpoint(tmp_path, "last", warn=lambda text: None).path == before


def test_nothing_complete_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"no checkpoint in this folder \(train first\)"):
        find_checkpoint(tmp_path)
    for name, hint in {"nowhere": "", "a.weights": "make weights", "b.conv.74": "weights"}.items():
        with pytest.raises(ValueError, match=f"{name}: no such checkpoint or folder.*{hint}"):
            find_checkpoint(tmp_path / name)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file: this is a file, not a checkpoint or a folder of"):
        find_checkpoint(tmp_path / "file")
    (tmp_path / "file").unlink()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^checkpoints: .*\(train first\)"):
        find_checkpoint("checkpoints")
    save(tmp_path, "best", 100)
    with pytest.raises(ValueError, match="no checkpoint in"):
        find_checkpoint(tmp_path, "last")
