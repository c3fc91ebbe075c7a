"""The steps of the demo with stand-ins for the four scripts, and once for real."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from checkpoint_samples import save

import demo
from yolov3.configs import REPO

FOLDER = "checkpoints/demo/yolov3-tiny"
SCRIPT = """import json, os, pathlib, sys
with open("calls.txt", "a") as calls:
    print(pathlib.Path(sys.argv[0]).name, *sys.argv[1:], file=calls)
"""
EVALUATE = """scores = {"mAP50": 0.97654, "mAP75": 0.9, "mAP": 0.75, "images": 200}
pathlib.Path("demo/report").mkdir(parents=True)
pathlib.Path("demo/report/report.json").write_text(json.dumps(scores))
"""
DETECT = """pathlib.Path("demo/detections").mkdir()
pathlib.Path("demo/detections/1.png").touch()
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Make a project whose scripts note how they were called."""
    root = tmp_path / "my project 2,3"
    (root / "mnist").mkdir(parents=True)
    for name in ("mnist/make_data.py", "train.py"):
        (root / name).write_text(SCRIPT)
    (root / "evaluate_mAP.py").write_text(SCRIPT + EVALUATE)
    (root / "detect_mnist.py").write_text(SCRIPT + DETECT)
    monkeypatch.setattr(demo, "REPO", root)
    return root


def calls(root):
    """Return the script and the flags of each call."""
    lines = (root / "calls.txt").read_text().splitlines()
    return [line.partition(" ")[::2] for line in lines]


def test_all_steps_run_and_the_results_are_named(project, capfd):
    assert demo.main([]) == 0
    made, trained, evaluated, detected = calls(project)
    assert made == ("make_data.py", "")
    assert trained[0] == "train.py" and "--tiny" in trained[1] and FOLDER in trained[1]
    assert evaluated[0] == "evaluate_mAP.py" and FOLDER in evaluated[1]
    assert detected[0] == "detect_mnist.py" and FOLDER in detected[1]
    assert all("--annotations mnist/mnist_test.txt" in flags for _, flags in (evaluated, detected))
    printed = capfd.readouterr().out
    assert "mAP50 0.977   mAP75 0.900   mAP 0.750" in printed
    assert "demo/detections/1.png" in printed


def test_darknet_53_has_folders_of_its_own_and_flags_are_passed_on(project):
    assert demo.main(["--model", "yolov3", "--", "--train-epochs", "2"]) == 0
    flags = calls(project)[1][1]
    assert "--tiny" not in flags and "checkpoints/demo/yolov3 " in flags
    assert flags.startswith("--train-epochs 2 ")


@pytest.mark.parametrize(
    ("flags", "trained", "told"),
    [
        ([], f"train.py --resume {FOLDER}", "Continues the training"),
        (["--", "--seed=4"], f"train.py --seed=4 --resume {FOLDER}", "Continues the training"),
        (["--fresh"], "train.py --tiny", "$ python train.py"),
    ],
)
def test_an_earlier_training_is_continued_unless_refused(project, capfd, flags, trained, told):
    save(project / FOLDER / "a run", "last", 45)
    for name in demo.ANNOTATIONS:
        (project / name).touch()
    assert demo.main(flags) == 0
    assert " ".join(calls(project)[0]).startswith(trained)
    assert told in capfd.readouterr().out


@pytest.mark.parametrize(
    ("ending", "code", "told"),
    [
        ("sys.exit(3)", 3, "ended with exit code 3"),
        (f"os.kill(os.getpid(), {signal.SIGKILL:d})", 128 + signal.SIGKILL, "ended with exit code"),
        ("sys.exit(130)", 130, "Run the same command again to continue."),
    ],
)
def test_a_failing_step_stops_the_demo_with_its_code(project, capfd, ending, code, told):
    (project / "train.py").write_text(SCRIPT + ending)
    assert demo.main([]) == code
    assert told in capfd.readouterr().err
    assert [name for name, _ in calls(project)] == ["make_data.py", "train.py"]


@pytest.mark.slow
def test_the_demo_runs(tmp_path):
    """Train for two epochs at 64 px in a copy of the project, then find it trained."""
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=REPO, text=True).split("\0")
    for name in filter(None, names):
        if not name.startswith(("tests/", "docs/")):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPO / name, tmp_path / name)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "DISPLAY": ""}
    few = ["--train=24", "--test=8", "--size=128"]
    subprocess.run([sys.executable, "mnist/make_data.py", *few], cwd=tmp_path, check=True)
    flags = ["--train-input-size=64", "--train-epochs=2"]
    command = [sys.executable, "tools/demo.py", "--", *flags]
    for is_trained in (False, True):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode in (0, 1), done.stderr  # 1: so little training may find nothing
        assert ("was finished after" in done.stdout) is is_trained
    scores = json.loads((tmp_path / "demo" / "report" / "report.json").read_text())
    assert scores["images"] == 8 and 0 <= scores["mAP"] <= 1
    assert len(list((tmp_path / "demo" / "detections").iterdir())) == 4
