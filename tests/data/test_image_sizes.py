"""Sizes of many images: the same from any number of processes, which start and end cleanly."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from yolov3.configs import REPO
from yolov3.data import image_sizes


@pytest.fixture
def paths(tmp_path):
    """Return the paths of 1100 images, every 41st of which is missing."""
    for width in range(1, 41):
        Image.new("RGB", (width, 7)).save(tmp_path / f"ü {width}.png")
    return [str(tmp_path / f"ü {1 + i % 41}.png") for i in range(1100)]


def test_processes_find_the_same_sizes(paths):
    alone = [found for batch in image_sizes.read_sizes(paths, 1) for found in batch]
    shared = [found for batch in image_sizes.read_sizes(paths, 3) for found in batch]
    assert alone[2] == (2, (3, 7)) and alone[40][1].kind == "missing image"
    assert [(i, str(size)) for i, size in shared] == [(i, str(size)) for i, size in alone]
    assert len(alone) == 1100


def test_a_process_that_dies_is_an_error_of_its_own(paths):
    batches = image_sizes.read_sizes(paths * 100, 2)
    next(batches)
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
    with pytest.raises(ChildProcessError, match="read image headers has died"):
        list(batches)


def test_a_check_that_is_left_early_leaves_no_process(paths):
    batches = image_sizes.read_sizes(paths * 3, 2)
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert not multiprocessing.active_children()


UNGUARDED = """import sys
print("started", flush=True)
from yolov3.data.image_sizes import read_sizes
if sys.argv[1:]:
    print(sum(len(batch) for batch in read_sizes(["gone.png"] * 5000, 2)))
else:
    for batch in read_sizes(["gone.png"] * 10**6, 2):
        print("read", flush=True)
"""


def start_unguarded(folder, *arguments):
    (folder / "script.py").write_text(UNGUARDED)
    command = [sys.executable, "script.py", *arguments]
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, **pipes)


def test_a_script_without_a_guard_runs_once(tmp_path):
    assert start_unguarded(tmp_path, "short").communicate()[0].split() == ["started", "5000"]


def test_ctrl_c_reaches_the_caller_alone(tmp_path):
    process = start_unguarded(tmp_path)
    assert [process.stdout.readline() for _ in range(2)] == ["started\n", "read\n"]
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the whole group
    _, errors = process.communicate()
    assert errors.count("Traceback") == 1 and errors.splitlines()[-1] == "KeyboardInterrupt"
    assert time.monotonic() - started < 10
    with pytest.raises(ProcessLookupError):  # soon nobody is left
        while time.monotonic() - started < 10:
            os.killpg(process.pid, 0)
