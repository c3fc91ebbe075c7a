"""The demo's steps, with stand-ins for the four scripts."""

import signal

import pytest

import demo
from demo_runs import Earlier

RUN = "checkpoints/demo/yolov3-tiny/a run"
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
    """Make a project whose scripts note how they were called; the newest run is in `RUN`."""
    root = tmp_path / "my project 2,3"
    (root / "mnist").mkdir(parents=True)
    (root / "mnist" / "make_data.py").write_text(SCRIPT)
    (root / "train.py").write_text(SCRIPT)
    (root / "evaluate_mAP.py").write_text(SCRIPT + EVALUATE)
    (root / "detect_mnist.py").write_text(SCRIPT + DETECT)
    monkeypatch.setattr(demo, "ROOT", root)
    monkeypatch.setattr(demo, "newest_run", lambda folder: folder / "a run")
    return root


def calls(root):
    return (root / "calls.txt").read_text().splitlines()


def add_data(root):
    image = root / "mnist" / "1.jpg"
    image.touch()
    for name in demo.ANNOTATIONS:
        (root / name).write_text(f"{image} 1,2,3,4,5 -6.5,7,8,9,0\n")
    return image


def test_all_steps_run_and_the_results_are_named(project, capfd):
    assert demo.main([]) == 0
    folder = "checkpoints/demo/yolov3-tiny"
    assert calls(project) == [
        "make_data.py",
        f"train.py --tiny --train-checkpoints-folder {folder} --train-logdir log/demo/yolov3-tiny",
        f"evaluate_mAP.py --weights {RUN} --json demo/evaluation.json",
        f"detect_mnist.py --weights {RUN} --count 4 --seed 1 --output demo/detections",
    ]
    printed = capfd.readouterr().out
    assert "minutes of training on these" in printed
    assert "AP50 0.977   AP75 0.900   AP 0.750" in printed
    assert "demo/detections/1.png" in printed


def test_darknet_53_has_folders_of_its_own(project):
    assert demo.main(["--model", "yolov3"]) == 0
    assert "--tiny" not in calls(project)[1] and "checkpoints/demo/yolov3 " in calls(project)[1]


def leave_behind(monkeypatch, earlier):
    monkeypatch.setattr(demo, "find_earlier", lambda *_: earlier)


def test_an_interrupted_training_is_gone_on_with(project, monkeypatch, capfd):
    add_data(project)
    leave_behind(monkeypatch, Earlier(project / RUN))
    assert demo.main([]) == 0
    assert calls(project)[0] == f"train.py --resume {RUN}"
    printed = capfd.readouterr().out
    assert f"it goes on with {RUN}" in printed and "more minutes of training" in printed


def test_a_finished_training_is_not_done_again(project, monkeypatch, capfd):
    add_data(project)
    leave_behind(monkeypatch, Earlier(project / RUN, is_finished=True))
    assert demo.main([]) == 0
    assert [call.split()[0] for call in calls(project)] == ["evaluate_mAP.py", "detect_mnist.py"]
    printed = capfd.readouterr().out
    assert f"trained already, in {RUN}" in printed and "make demo FRESH=1" in printed
    assert "minutes of training" not in printed


def test_fresh_trains_anew_in_any_case(project, monkeypatch):
    add_data(project)
    leave_behind(monkeypatch, Earlier(project / RUN, is_finished=True))
    assert demo.main(["--fresh"]) == 0
    assert calls(project)[0].startswith("train.py --tiny ")


def test_new_data_train_anew(project, monkeypatch):
    leave_behind(monkeypatch, Earlier(project / RUN))
    assert demo.main([]) == 0
    assert calls(project)[1].startswith("train.py --tiny ")


def test_why_an_earlier_training_is_of_no_use_is_said(project, monkeypatch, capfd):
    add_data(project)
    leave_behind(monkeypatch, Earlier(unusable="had other settings (seed)"))
    assert demo.main([]) == 0
    assert calls(project)[0].startswith("train.py --tiny ")
    assert "The training of an earlier demo had other settings (seed)" in capfd.readouterr().out


def test_data_is_not_made_again(project):
    add_data(project)
    assert demo.main([]) == 0
    assert "make_data.py" not in calls(project)


def test_data_whose_images_are_gone_is_not_ready(project):
    assert not demo.data_is_ready()
    image = add_data(project)
    assert demo.data_is_ready()
    image.unlink()
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
    [("sys.exit(3)", 3), (f"os.kill(os.getpid(), {signal.SIGKILL:d})", 128 + signal.SIGKILL)],
)
def test_failing_step_stops_the_demo_with_its_code(project, capfd, ending, code):
    (project / "train.py").write_text(f"import os, sys\n{ending}\n")
    assert demo.main([]) == code
    assert f"ended with exit code {code}" in capfd.readouterr().err
    assert calls(project) == ["make_data.py"]


def test_an_interrupted_step_says_how_to_go_on(project, capfd):
    (project / "train.py").write_text("import sys\nsys.exit(130)\n")
    assert demo.main([]) == 130
    assert "The same command goes on from here." in capfd.readouterr().err
