"""Which training of an earlier demo is gone on with, finished, or of no use."""

import dataclasses
import os

import pytest
from checkpoint_samples import save

from demo_runs import Earlier, find_earlier, newest_run
from yolov3.configs import Config

CONFIG = Config(tiny=True, seed=3)  # those of `save`
STEPS = 45
DONE = {"epoch": CONFIG.train_epochs}


@pytest.fixture
def annotations(tmp_path):
    """Write an annotation file that is older than any checkpoint."""
    path = tmp_path / "train.txt"
    path.write_text("a.png 1,2,3,4,5\n")
    os.utime(path, (0, 0))
    return path


def test_nothing_to_go_on_with(tmp_path, annotations):
    assert find_earlier(tmp_path / "runs", CONFIG, [annotations]) == Earlier(None, False, "")
    save(tmp_path / "runs" / "run", "best", 3)
    assert find_earlier(tmp_path / "runs", CONFIG, [annotations]) == Earlier(None, False, "")


@pytest.mark.parametrize("is_finished", [False, True])
def test_a_run_is_finished_after_its_last_validation(tmp_path, annotations, is_finished):
    run = tmp_path / "runs" / "run"
    save(run, "last", STEPS, state={"epoch": CONFIG.train_epochs - 1 + is_finished})
    assert find_earlier(tmp_path / "runs", CONFIG, [annotations]) == Earlier(run, is_finished)


def test_the_newest_run_counts(tmp_path, annotations):
    for name, step, state, time in (("b", STEPS, DONE, 1000), ("a", 1, {}, 2000)):
        save(tmp_path / "runs" / name, "last", step, state=state)
        os.utime(tmp_path / "runs" / name, (time, time))
    assert newest_run(tmp_path / "runs") == tmp_path / "runs" / "a"
    assert not find_earlier(tmp_path / "runs", CONFIG, [annotations]).is_finished


def test_other_settings_are_named(tmp_path, annotations):
    save(tmp_path / "runs" / "run", "last", STEPS)
    now = dataclasses.replace(CONFIG, seed=4, train_epochs=2)
    earlier = find_earlier(tmp_path / "runs", now, [annotations])
    assert earlier == Earlier(unusable="had other settings (train_epochs, seed)")


def test_data_made_after_the_run_are_others(tmp_path, annotations):
    saved = save(tmp_path / "runs" / "run", "last", STEPS)
    newer = tmp_path / "test.txt"
    newer.touch()
    os.utime(newer, (saved.stat().st_mtime + 1, saved.stat().st_mtime + 1))
    earlier = find_earlier(tmp_path / "runs", CONFIG, [annotations, newer])
    assert earlier == Earlier(unusable="is older than the digit images")
