"""Tests of the folders of runs: never shared, found again to resume, locked while they train."""

import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from checkpoint_samples import save

import train
from yolov3.configs import REPO, Config
from yolov3.runs import run_folders
from yolov3.runs.run_folders import LOCK, locked

NAME = "yolov3-tiny_20260102-030405"


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "20260102-030405")
    return Config(
        tiny=True,
        train_checkpoints_folder=str(tmp_path / "checkpoints"),
        train_logdir=str(tmp_path / "log"),
    )


def test_runs_are_named_after_network_and_time_and_share_no_folder(config, tmp_path):
    first = run_folders.new_run(config)
    assert first == (tmp_path / "checkpoints" / NAME, tmp_path / "log" / NAME)
    second = run_folders.new_run(config)
    assert second == (tmp_path / "checkpoints" / f"{NAME}-2", tmp_path / "log" / f"{NAME}-2")
    elsewhere = replace(config, train_checkpoints_folder=str(tmp_path / "elsewhere"))
    third = run_folders.new_run(elsewhere)
    assert third == (tmp_path / "elsewhere" / f"{NAME}-3", tmp_path / "log" / f"{NAME}-3")
    assert all(folder.is_dir() for run in (first, second, third) for folder in run)


def test_a_run_has_the_name_that_is_asked_for_unless_there_is_one(config, tmp_path):
    run = run_folders.new_run(config, "cells")
    assert run == (tmp_path / "checkpoints" / "cells", tmp_path / "log" / "cells")
    assert run.checkpoints.is_dir() and run.log.is_dir()
    (run.checkpoints / LOCK).touch()
    (run.log / "events").touch()
    assert run_folders.new_run(config, "cells") == run  # it had no checkpoint yet
    checkpoint_in(run, config)
    with pytest.raises(ValueError, match=f"^{run.checkpoints}: there is a run of this name"):
        run_folders.new_run(config, "cells")
    run.checkpoints.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match=f"^{run.log}: there is a run of this name"):
        run_folders.new_run(config, "cells")


def test_a_start_that_fails_keeps_no_name(config, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        run_folders.new_run(replace(config, train_logdir=str(tmp_path / "file")), "cells")
    assert run_folders.new_run(config, "cells").log.is_dir()


def test_logs_may_lie_beside_the_checkpoints(config, tmp_path):
    together = replace(config, train_logdir=str(tmp_path / "log" / ".." / "checkpoints"))
    run = run_folders.new_run(together)
    assert run.log.samefile(run.checkpoints)
    assert run_folders.resumed_run(together, checkpoint_in(run, together)).log == run.log


def test_resumed_run_goes_on_in_its_folders(config, monkeypatch):
    run = run_folders.new_run(config)
    checkpoint = checkpoint_in(run, config)
    assert run_folders.resumed_run(config, checkpoint) == run
    monkeypatch.chdir(run.checkpoints)
    checkpoint.path = Path("last-000010")
    assert run_folders.resumed_run(config, checkpoint) == run


def test_a_run_that_was_moved_logs_under_its_new_name(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = replace(config, train_checkpoints_folder="checkpoints", train_logdir="log")
    run = run_folders.new_run(config)
    run.checkpoints.rename(tmp_path / "moved")
    checkpoint = SimpleNamespace(path=tmp_path / "moved" / "last-000010", config=config)
    assert run_folders.resumed_run(config, checkpoint).log == Path("log") / "moved"


def checkpoint_in(run, config):
    path = run.checkpoints / "last-000010"
    path.mkdir()
    return SimpleNamespace(path=path, config=config)


HOLD = """
import sys
from pathlib import Path
from yolov3.runs.run_folders import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Return a process that holds the lock of the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        cwd=REPO,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.communicate()


def test_second_process_is_refused_and_told_who_holds_it(tmp_path, holder):
    expected = f"{tmp_path}: this run is already being trained by process {holder.pid} on "
    with pytest.raises(ValueError, match=expected), locked(tmp_path):
        pass


def test_lock_of_a_killed_process_is_free(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with locked(tmp_path):
        text = (tmp_path / LOCK).read_text()
        assert f"process {os.getpid()} on " in text and str(holder.pid) not in text.split()


def test_lock_is_free_after_the_block_and_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), locked(tmp_path):
            with pytest.raises(ValueError, match=f"process {os.getpid()} on "), locked(tmp_path):
                pass
            raise ZeroDivisionError


def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")


def test_where_nothing_can_be_locked_it_says_so_and_continues(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_folders.fcntl, "flock", refuse)
    with locked(tmp_path):
        out = capsys.readouterr().out
    assert out.startswith(f"{tmp_path}: not locked (") and out.count("\n") == 1


def test_link_in_place_of_the_lock_is_refused_and_its_target_kept(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError), locked(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


# What --resume finds, and which settings it takes


def resumed(path, *flags):
    args = train.parse_args(["--resume", str(path), *flags])
    checkpoint, config = run_folders.find_resumable(args)
    run_folders.print_changes(checkpoint, config, args)
    return config, checkpoint


def test_the_newest_is_resumed_with_its_own_settings(tmp_path, capsys):
    save(tmp_path / "a", "last", 100)
    last = save(tmp_path / "b", "last", 50)
    for path, *flags in ((tmp_path,), ("", f"--train-checkpoints-folder={tmp_path}")):
        config, checkpoint = resumed(path, *flags)
        assert checkpoint.path == last
        assert config == checkpoint.config and config.seed == 3
        assert config.train_checkpoints_folder == "checkpoints"  # which tells where the log is
    assert capsys.readouterr().out == ""


def test_a_run_stays_in_its_folder(tmp_path, capsys):
    save(tmp_path, "last", 100)
    config, _ = resumed(tmp_path, "--train-checkpoints-folder=elsewhere")
    assert config.train_checkpoints_folder == "checkpoints"
    assert capsys.readouterr().out.startswith("note: --train-checkpoints-folder has no effect")


def test_what_cannot_be_resumed_is_refused(tmp_path):
    best, last = save(tmp_path, "best", 100), save(tmp_path, "last", 100)
    with pytest.raises(ValueError, match=f"{last}: was trained with --tiny; resume it so"):
        resumed(tmp_path, "--no-tiny")
    with pytest.raises(ValueError, match=f"{last}: was trained with --recipe digits; resume it so"):
        resumed(tmp_path, "--recipe=images")
    resumed(tmp_path, "--anchors=yolov3-tiny")
    with pytest.raises(ValueError, match=f"{last}: was trained with other anchors"):
        resumed(tmp_path, "--anchors=yolov3-tiny-darknet")
    with pytest.raises(ValueError, match=rf"{best}: a checkpoint to detect with; resume a last-\*"):
        resumed(best)
