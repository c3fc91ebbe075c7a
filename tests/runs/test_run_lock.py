"""Tests of the lock on a run: one process at a time, and nothing stale after a kill."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from yolov3.configs import REPO
from yolov3.runs import run_lock
from yolov3.runs.run_lock import LOCK, locked

HOLD = """
import sys
from pathlib import Path
from yolov3.runs.run_lock import locked
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
    expected = f"{tmp_path}: expected a run that nobody trains; process {holder.pid} on .* trains"
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


def test_runs_of_other_folders_are_free(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    with locked(tmp_path / "a"), locked(tmp_path / "b"):
        pass


def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.mark.parametrize("library", [None, "without locks"])
def test_where_nothing_can_be_locked_it_says_so_and_goes_on(tmp_path, monkeypatch, capsys, library):
    if library is None:  # Windows
        monkeypatch.setattr(run_lock, "fcntl", None)
    else:  # a file system
        monkeypatch.setattr(run_lock.fcntl, "flock", refuse)
    with locked(tmp_path):
        out = capsys.readouterr().out
    assert out.startswith(f"{tmp_path}: not locked (") and out.count("\n") == 1


def test_link_in_place_of_the_lock_is_refused_and_its_target_kept(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / LOCK).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError), locked(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


def test_folder_that_cannot_be_written_to_is_an_os_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), locked(tmp_path / "file"):
        pass
