"""tools/launch.py with commands that take no time."""

import os
import signal
import subprocess
import sys
import time

import pytest
from script_runs import command, environment, write

from tools.launch import resuming

TRAIN = """
import json, os, pathlib, signal, sys, time
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
print(index, *sys.argv[1:], file=open(f"said{index}.txt", "a"))
if "--resume" in sys.argv:
    sys.exit(0)
"""
SAVE_AND_FAIL = """
folder = pathlib.Path("runs/one/last-000002")
folder.mkdir(parents=True, exist_ok=True)
os.kill(os.getpid(), signal.SIGKILL) if index else sys.exit(75)
"""
WAIT = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
open(f"ready{index}", "w")
time.sleep(60)
"""


def launch(folder, script, *flags, **kwargs):
    write(folder / "train.py", TRAIN + script)
    words = command("tools/launch.py", "--processes=2", *flags, "--", sys.executable, "train.py")
    words += ["--train-checkpoints-folder=runs", "--tiny"]
    return subprocess.Popen(words, cwd=folder, env=environment(), **kwargs)


def said(folder, index):
    return (folder / f"said{index}.txt").read_text().splitlines()


def test_after_a_failure_all_go_on_from_the_checkpoint(tmp_path):
    (tmp_path / "runs" / "earlier" / "last-000009").mkdir(parents=True)
    assert launch(tmp_path, SAVE_AND_FAIL, "--restarts=1").wait() == 0
    for index in (0, 1):
        first = f"{index} --train-checkpoints-folder=runs --tiny"
        assert said(tmp_path, index) == [first, f"{index} --resume runs/one"]


def test_a_command_that_names_no_script_goes_on_as_well(tmp_path):
    (tmp_path / "last-000002").mkdir()
    for words in (["python", "-m", "train", "--tiny"], ["./my_training"]):
        assert resuming(words, [tmp_path]) == [*words, "--resume", str(tmp_path)]


@pytest.mark.parametrize(
    ("script", "flags", "code", "starts"),
    [
        ("sys.exit(0)", ["--restarts=1"], 0, 1),
        (SAVE_AND_FAIL, [], 75, 1),
        ("sys.exit(75)", ["--restarts=2"], 75, 3),  # there is no checkpoint
        ("sys.exit(75 if index else 2)", ["--restarts=2"], 2, 1),
    ],
    ids=["success", "no restart", "no checkpoint", "bad input"],
)
def test_what_is_started_again(tmp_path, script, flags, code, starts):
    assert launch(tmp_path, script, *flags).wait() == code
    assert len(said(tmp_path, 1)) == starts


def test_a_signal_reaches_all(tmp_path):
    process = launch(tmp_path, WAIT, "--restarts=1")
    while not all((tmp_path / f"ready{index}").exists() for index in (0, 1)):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait() == 130
    assert len(said(tmp_path, 0)) == 1
