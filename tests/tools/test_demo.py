"""The demo's steps with stand-ins for the four scripts, and once for real."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from checkpoint_samples import save

import demo
from demo import Earlier
from yolov3.configs import REPO

FOLDER = "checkpoints/demo/yolov3-tiny"
RUN = f"{FOLDER}/a run"
SCRIPT = """import json, os, pathlib, sys
with open("calls.txt", "a") as calls:
    print(pathlib.Path(sys.argv[0]).name, *sys.argv[1:], file=calls)
"""
EVALUATE = """scores = {"mAP50": 0.97654, "mAP75": 0.9, "mAP": 0.75, "images": 200}
pathlib.Path("demo/evaluation.json").write_text(json.dumps(scores))
"""
DETECT = """pathlib.Path("demo/detections").mkdir()
pathlib.Path("demo/detections/1.png").touch()
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Make a project whose scripts note how they were called."""
    root = tmp_path / "my project 2,3"
    (root / "mnist").mkdir(parents=True)
    for name, does in [("mnist/make_data.py", ""), ("train.py", "")]:
        (root / name).write_text(SCRIPT + does)
    (root / "evaluate_mAP.py").write_text(SCRIPT + EVALUATE)
    (root / "detect_mnist.py").write_text(SCRIPT + DETECT)
    monkeypatch.setattr(demo, "ROOT", root)
    return root


@pytest.fixture
def data(project):
    """Put digit images there that are older than any checkpoint; return the image."""
    image = project / "mnist" / "1.jpg"
    image.touch()
    for name in demo.ANNOTATIONS:
        (project / name).write_text(f"{image} 1,2,3,4,5 -6.5,7,8,9,0\n")
        os.utime(project / name, (0, 0))
    return image


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
    printed = capfd.readouterr().out
    assert "Training yolov3-tiny takes" in printed
    assert "mAP50 0.977   mAP75 0.900   mAP 0.750" in printed
    assert "demo/detections/1.png" in printed


def test_darknet_53_has_folders_of_its_own_and_flags_are_passed_on(project):
    assert demo.main(["--model", "yolov3", "--", "--train-epochs", "2"]) == 0
    flags = calls(project)[1][1]
    assert "--tiny" not in flags and "checkpoints/demo/yolov3 " in flags
    assert flags.endswith("--train-epochs 2")


@pytest.mark.parametrize(
    ("earlier", "flags", "steps", "told"),
    [
        (Earlier(), [], ["train.py", "evaluate_mAP.py", "detect_mnist.py"], "takes"),
        (Earlier("run"), [], ["train.py"], f"continues the training in {RUN}"),
        (Earlier("run", is_finished=True), [], ["evaluate_mAP.py"], f"trained already in {RUN}"),
        (Earlier("run", is_finished=True), ["--fresh"], ["train.py"], "takes"),
        (Earlier(unusable="had other settings (seed)"), [], ["train.py"], "had other settings"),
    ],
)
def test_an_earlier_training_is_continued_or_used(
    project, data, monkeypatch, capfd, earlier, flags, steps, told
):
    earlier = earlier._replace(run=earlier.run and project / RUN)
    monkeypatch.setattr(demo, "find_earlier", lambda _config: earlier)
    assert demo.main(flags) == 0
    called = calls(project)
    assert [name for name, _ in called][: len(steps)] == steps
    assert (f"--resume {RUN}" in called[0][1]) == (steps == ["train.py"] and "continues" in told)
    assert told in capfd.readouterr().out


def test_data_without_its_images_is_made_again(project, data):
    assert demo.data_is_ready()
    data.unlink()
    assert not demo.data_is_ready()
    (project / demo.ANNOTATIONS[0]).unlink()
    assert not demo.data_is_ready()


@pytest.mark.parametrize(
    ("line", "is_ready"), [("1.jpg 1,2,3,4,5", True), ("2.jpg 1,2,3,4,5", False), ("1.jpg 1", True)]
)
def test_relative_paths_are_found_and_broken_lines_left_to_train(project, data, line, is_ready):
    (project / demo.ANNOTATIONS[1]).write_text(f"{line}\n")
    assert demo.data_is_ready() is is_ready


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


# What an earlier demo left


@pytest.fixture
def config(tmp_path):
    """Return the settings of the demo, with those of `save`."""
    flags = [*demo.parse_args([]).train_flags, "--seed=3"]
    return demo.config_from_flags(demo.train.parse_args(flags))


def leave(project, config, kind, epoch, **changes):
    settings = {
        "train_checkpoints_folder": config.train_checkpoints_folder,
        "train_logdir": config.train_logdir,
    }
    return save(project / RUN, kind, 45, state={"epoch": epoch}, **(settings | changes))


@pytest.mark.parametrize("is_finished", [False, True])
def test_a_run_is_finished_after_its_last_validation(project, data, config, is_finished):
    assert demo.find_earlier(config) == Earlier()
    leave(project, config, "last", config.train_epochs - 1 + is_finished)
    assert demo.find_earlier(config) == Earlier(project / RUN, is_finished)


def test_a_run_of_other_settings_or_older_than_the_images_is_not_used(project, data, config):
    checkpoint = leave(project, config, "last", 1)
    newer = checkpoint.stat().st_mtime + 1
    os.utime(project / demo.ANNOTATIONS[1], (newer, newer))
    assert demo.find_earlier(config) == Earlier(unusable="is older than the digit images")
    other = dataclasses.replace(config, seed=4)
    assert demo.find_earlier(other) == Earlier(unusable="had other settings (seed)")


# For real


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
    flags = ["--train-input-size=64", "--train-input-scales=1", "--train-epochs=2"]
    command = [sys.executable, "tools/demo.py", "--", *flags]
    for is_trained in (False, True):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode in (0, 1), done.stderr  # 1: so little training may find nothing
        assert ("trained already" in done.stdout) is is_trained
    scores = json.loads((tmp_path / "demo" / "evaluation.json").read_text())
    assert scores["images"] == 8 and 0 <= scores["mAP"] <= 1
    assert len(list((tmp_path / "demo" / "detections").iterdir())) == 4
