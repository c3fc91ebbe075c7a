"""Sizes of many images: the same from any number of processes, which start and end cleanly."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
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
    alone = image_sizes.read_sizes(paths, "", 1)
    shared = image_sizes.read_sizes(paths, "", 3)
    assert alone[2] == (3, 7) and alone[40].kind == "missing image"
    assert list(map(str, shared)) == list(map(str, alone)) and len(alone) == 1100
    assert not multiprocessing.active_children()


def test_a_process_that_dies_is_an_error_of_its_own(paths):
    def kill():
        while len(multiprocessing.active_children()) < 2:
            time.sleep(0.01)
        time.sleep(0.5)  # a pool that loses a process while it starts others may wait for ever
        multiprocessing.active_children()[0].kill()

    threading.Thread(target=kill).start()
    with pytest.raises(ChildProcessError, match="read image headers has died"):
        image_sizes.read_sizes(paths * 200, "", 2)


UNGUARDED = """import sys
print("started", flush=True)
from yolov3.data.image_sizes import read_sizes
print(len(read_sizes(["gone.png"] * int(sys.argv[1]), "", 2)))
"""


def start_unguarded(folder, count):
    (folder / "script.py").write_text(UNGUARDED)
    command = [sys.executable, "script.py", str(count)]
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True, **pipes)


def test_a_script_without_a_guard_runs_once(tmp_path):
    assert start_unguarded(tmp_path, 5000).communicate()[0].split() == ["started", "5000"]


def test_ctrl_c_reaches_the_caller_alone(tmp_path):
    process = start_unguarded(tmp_path, 10**6)
    assert process.stdout.readline() == "started\n"
    time.sleep(1.5)  # by then the processes start, or read
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the whole group
    _, errors = process.communicate()
    assert errors.count("Traceback") == 1 and errors.splitlines()[-1] == "KeyboardInterrupt"
    assert time.monotonic() - started < 10
    with pytest.raises(ProcessLookupError):  # soon nobody is left
        while time.monotonic() - started < 10:
            os.killpg(process.pid, 0)
