"""Tests of saves that a kill or a full disk ends: an earlier checkpoint or the new one is whole."""

import errno
import itertools
import os
import pathlib
import shutil

import numpy as np
import pytest
from checkpoint_samples import RESUME, WEIGHTS, names, save

from yolov3 import checkpoints
from yolov3.checkpoints import find_checkpoint, open_checkpoint

OTHERS = {"conv_0/kernel": np.full((64, 64), 7, np.float32)}
GROWING = ("mkdir", "fsync", "rename")  # what a full or read-only disk refuses
CALLS = (*GROWING, "open", "unlink", "rmdir")
HISTORIES = {  # steps saved before, and the step during whose save the disk fails
    "next": ((100, 200), 300),
    "same": ((100, 200), 200),
    "earlier": ((100, 200), 150),
}


class Killed(BaseException):
    """The process is no more; nothing handles this."""


class FailingDisk:
    """Let file-system call number `last`, from 0, and all later ones raise an error."""

    def __init__(self, monkeypatch, calls, error):
        self.last, self.error, self.made = None, error, 0
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # which here only costs time
        writing = [(pathlib.Path, "write_text"), (checkpoints, "save_file")]
        for owner, name in [(os, name) for name in calls] + writing:
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, function):
        def call(*args, **kwargs):
            if self.last is not None and self.made >= self.last:
                raise self.error
            self.made += 1
            return function(*args, **kwargs)

        return call


def failures(tmp_path, disk, kind, history):
    """Save with a disk that fails at the first call, at the second ...; return the runs."""
    before, step = history
    for step_before in before:
        save(tmp_path / "whole", kind, step_before, ap=0.1)
    runs = []
    for number in itertools.count():
        run = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", run, symlinks=True)
        disk.made, disk.last = 0, number
        try:
            save(run, kind, step, ap=0.2, weights=OTHERS)
            return runs  # with so many calls it is done
        except type(disk.error):
            runs.append(run)
        finally:
            disk.last = None


def assert_whole(run, kind, history):
    """Assert that the newest checkpoint is one of before or the new one, without a warning."""
    before, step = history
    warnings = []
    found = find_checkpoint(run, kind, warnings.append)
    assert not warnings
    assert found.step in (before[-1], step)
    weights = found.weights()
    assert weights.keys() in (WEIGHTS.keys(), OTHERS.keys())
    assert kind == "best" or found.resume_state().keys() == RESUME.keys()


@pytest.mark.parametrize("kind", ["best", "last"])
@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_killed_at_any_moment_a_run_can_go_on(tmp_path, monkeypatch, kind, history):
    runs = failures(tmp_path, FailingDisk(monkeypatch, CALLS, Killed()), kind, history)
    assert len(runs) >= 20
    for run in runs:
        assert_whole(run, kind, history)
        save(run, kind, 400, ap=0.3)  # after a kill, too, the leftovers are swept away
        kept = [name for name in names(run) if name != f"{kind}-000400"]
        assert len(kept) == {"best": 0, "last": 1}[kind]
        assert all(len(name) == len("last-000400") for name in kept)
        open_checkpoint(run / f"{kind}-000400")


@pytest.mark.parametrize("kind", ["best", "last"])
@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_full_disk_leaves_the_earlier_ones_and_no_half(tmp_path, monkeypatch, kind, history):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    runs = failures(tmp_path, FailingDisk(monkeypatch, GROWING, full), kind, history)
    assert len(runs) >= 10
    for run in runs:
        assert_whole(run, kind, history)
        assert not list(run.glob(".*"))


def test_all_is_on_the_disk_before_it_takes_its_name_and_before_others_go(tmp_path, monkeypatch):
    for step in (100, 200):
        save(tmp_path, "last", step)
    calls = []
    for name in ("fsync", "rename", "unlink"):
        monkeypatch.setattr(os, name, recorded(calls, name, getattr(os, name)))
    save(tmp_path, "last", 300)
    kinds = [kind for kind, _ in itertools.groupby(calls)]
    # Files and folder, then its name; the folder above, before the older one is moved and deleted.
    assert kinds[:5] == ["fsync", "rename", "fsync", "rename", "unlink"]


def recorded(calls, name, function):
    def call(*args, **kwargs):
        calls.append(name)
        return function(*args, **kwargs)

    return call
