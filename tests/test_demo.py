"""Tests of the demo's steps with stand-ins for the four scripts."""

import sys

import pytest

import demo

SCRIPT = """import json, pathlib, sys
with open("calls.txt", "a") as calls:
    print(pathlib.Path(sys.argv[0]).name, *sys.argv[1:], file=calls)
"""
EVALUATE = 'scores = {"AP50": 0.97654, "AP75": 0.9, "AP": 0.75, "images": 200}\n' + (
    'pathlib.Path("demo/evaluation.json").write_text(json.dumps(scores))\n'
)
DETECT = 'pathlib.Path("demo/detections").mkdir()\npathlib.Path("demo/detections/1.png").touch()\n'


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Make a project whose scripts note how they were called."""
    root = tmp_path / "my project 2,3"
    (root / "mnist").mkdir(parents=True)
    (root / "mnist" / "make_data.py").write_text(SCRIPT)
    (root / "train.py").write_text(SCRIPT)
    (root / "evaluate_mAP.py").write_text(SCRIPT + EVALUATE)
    (root / "detect_mnist.py").write_text(SCRIPT + DETECT)
    monkeypatch.setattr(demo, "ROOT", root)
    monkeypatch.setattr(sys, "argv", ["demo.py"])
    return root


def add_data(root):
    picture = root / "mnist" / "1.jpg"
    picture.touch()
    for name in demo.ANNOTATIONS:
        (root / name).write_text(f"{picture} 1,2,3,4,5 -6.5,7,8,9,0\n")
    return picture


def test_all_steps_run_and_the_results_are_named(project, capfd):
    assert demo.main() == 0
    folder = "checkpoints/demo/yolov3-tiny"
    assert (project / "calls.txt").read_text().splitlines() == [
        "make_data.py",
        f"train.py --tiny --train-checkpoints-folder {folder} --train-logdir log/demo/yolov3-tiny",
        f"evaluate_mAP.py --weights {folder} --json demo/evaluation.json",
        f"detect_mnist.py --weights {folder} --count 4 --seed 1 --output demo/detections",
    ]
    printed = capfd.readouterr().out
    assert "AP50 0.977   AP75 0.900   AP 0.750" in printed
    assert "demo/detections/1.png" in printed


def test_darknet_53_has_folders_of_its_own(project, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["demo.py", "--model", "yolov3"])
    assert demo.main() == 0
    training = (project / "calls.txt").read_text().splitlines()[1]
    assert "--tiny" not in training and "checkpoints/demo/yolov3 " in training


def test_data_is_not_made_again(project):
    add_data(project)
    assert demo.main() == 0
    assert "make_data.py" not in (project / "calls.txt").read_text()


def test_data_whose_pictures_are_gone_is_not_ready(project):
    assert not demo.data_is_ready()
    picture = add_data(project)
    assert demo.data_is_ready()
    picture.unlink()
    assert not demo.data_is_ready()


def test_annotations_that_somebody_broke_are_not_overwritten(project):
    add_data(project)
    (project / demo.ANNOTATIONS[1]).write_text("1.jpg 1,2,3\n")
    assert demo.data_is_ready()


def test_paths_relative_to_the_annotations_are_found(project):
    add_data(project)
    (project / demo.ANNOTATIONS[1]).write_text("1.jpg 1,2,3,4,5\n")
    assert demo.data_is_ready()
    (project / demo.ANNOTATIONS[1]).write_text("2.jpg 1,2,3,4,5\n")
    assert not demo.data_is_ready()


@pytest.mark.parametrize(
    ("ending", "code"),
    [("sys.exit(3)", 3), ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137)],
)
def test_failing_step_stops_the_demo_with_its_code(project, capfd, ending, code):
    (project / "train.py").write_text(f"import sys\n{ending}\n")
    assert demo.main() == code
    assert f"ended with exit code {code}" in capfd.readouterr().err
    assert (project / "calls.txt").read_text() == "make_data.py\n"
