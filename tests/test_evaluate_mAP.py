"""evaluate_mAP.py: the figures it writes, and what it refuses."""

import json
import shutil

import pytest
from checkpoint_samples import rewrite
from script_runs import refusal, write

import evaluate_mAP
from yolov3 import evaluation
from yolov3.checkpoints import find_checkpoint
from yolov3.darknet import save_darknet_weights
from yolov3.evaluation import IMAGES_ARE
from yolov3.yolov3 import build_yolov3


def main(argv):
    return evaluate_mAP.main([*argv, "--no-report"])


def test_each_evaluation_writes_a_report_of_its_own(trained, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    flags = [f"--weights={trained.folder / 'checkpoints'}", "--input-size=32"]
    for number in (1, 2):
        assert evaluate_mAP.main(flags) == 0
        reports = list((tmp_path / "evaluations").glob("*/report.html"))
        assert len(reports) == number
    last = capfd.readouterr().out.splitlines()[-1]
    assert last.removeprefix("report: ") in [str(path.relative_to(tmp_path)) for path in reports]
    assert evaluate_mAP.main([*flags, "--report=here/mine"]) == 0
    figures = json.loads((tmp_path / "here" / "mine" / "report.json").read_text())
    assert figures["images_are"] == "trained_on" and figures["mAP50_costs"]
    assert all(time > 0 for time in figures["milliseconds"].values())
    assert figures["images"] == 8 and list(figures["per_class"]) == list("0123456789")
    assert sum(row["boxes"] for row in figures["per_class"].values()) == 16
    line = refusal(capfd, evaluate_mAP.main, [*flags, "--report=here/mine"])
    assert line.endswith("here/mine: this folder is not empty")


def with_settings(trained, folder, **settings):
    """Copy the best checkpoint of a training, as one of a run with other settings."""
    source = find_checkpoint(trained.folder / "checkpoints").path
    copy = shutil.copytree(source, folder / source.name)
    config = json.loads((copy / "config.json").read_text())
    rewrite(copy, "config.json", json.dumps(config | settings))
    return f"--weights={copy}"


@pytest.mark.parametrize(
    ("changes", "images_are"),
    [
        ({}, "trained_on"),
        ({"trained_on": "1f"}, "validated_on"),
        ({"trained_on": "1f", "validated_on": "2e"}, "other"),
    ],
)
def test_which_images_they_are_is_said(trained, tmp_path, capsys, changes, images_are):
    flag = with_settings(trained, tmp_path)
    checkpoint = find_checkpoint(flag.removeprefix("--weights="))
    state = json.loads((checkpoint.path / "state.json").read_text())
    rewrite(checkpoint.path, "state.json", json.dumps(state | changes))
    assert main([flag, "--input-size=32"]) == 0
    assert f"\n{IMAGES_ARE[images_are]}\n" in capsys.readouterr().out


def test_weights_of_another_task_are_told(trained, digit_scenes, tmp_path, capfd):
    weights = f"--weights={trained.folder / 'checkpoints'}"
    of_more_classes = tmp_path / "more.txt"
    write(of_more_classes, digit_scenes.read_text().splitlines()[0] + " 1,1,9,9,10")
    line = refusal(capfd, evaluate_mAP.main, [weights, f"--annotations={of_more_classes}"])
    assert "expected a label in [0, 9]" in line and "may be those of another task" in line
    part = tmp_path / "part.txt"
    write(part, digit_scenes.read_text().splitlines()[0])
    write(tmp_path / "part.names", "zero\none\n")
    assert main([weights, f"--annotations={part}", "--input-size=32"]) == 0
    out = capfd.readouterr().out
    moved = with_settings(trained, tmp_path, train_annot_path="gone.txt")
    assert main([moved, f"--annotations={part}", "--input-size=32"]) == 0
    assert "note: gone.txt, which the run was trained on, is not here" in capfd.readouterr().out
    assert f"note: class 0 is 'zero' in {tmp_path / 'part.names'}, but '0' in " in out
    assert " shares 1 of 1 image with " in out and IMAGES_ARE["other"] in out
    write(tmp_path / "part.names", "1\n0\n")
    line = refusal(capfd, evaluate_mAP.main, [weights, f"--annotations={part}"])
    assert "part.txt: class 0 is '1' in" in line


def test_bad_lines_are_skipped_if_the_run_skipped_them(
    trained, digit_scenes, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    bad = write(tmp_path / "bad.txt", digit_scenes.read_text() + "gone.png 1,2,3,4,5\n")
    weights = with_settings(trained, tmp_path, bad_lines="skip", test_annot_path=str(bad))
    assert main([weights]) == 0
    assert "using the good lines alone" in capfd.readouterr().out
    line = refusal(capfd, evaluate_mAP.main, [weights, "--bad-lines=error"])
    assert "bad.txt:9: expected an image" in line


def test_weights_that_name_no_images_need_annotations(trained, tmp_path, capfd):
    save_darknet_weights(build_yolov3(80, tiny=True), tmp_path / "coco.weights")
    without_validation = with_settings(trained, tmp_path, test_annot_path="")
    for flag in (f"--weights={tmp_path / 'coco.weights'}", without_validation):
        line = refusal(capfd, evaluate_mAP.main, [flag])
        assert line.endswith("these weights name no images to evaluate on; give --annotations FILE")


def test_evaluate_refuses_bad_input(trained, digit_scenes, tmp_path, capfd):
    weights = ["--weights", trained.folder / "checkpoints"]
    bad = write(tmp_path / "bad.txt", "gone.png 1,2,3,4,5")
    line = refusal(capfd, evaluate_mAP.main, [*weights, "--annotations", bad])
    assert "bad.txt:1: expected an image" in line
    line = refusal(capfd, evaluate_mAP.main, [*weights, "--report", digit_scenes])
    assert f"{digit_scenes}: not a folder" in line


def test_an_evaluation_that_fails_leaves_no_folder(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluation, "evaluate", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        evaluate_mAP.main([f"--weights={trained.folder / 'checkpoints'}"])
    assert not list(tmp_path.glob("*/*"))


def test_a_report_that_cannot_be_written_is_refused_at_once(trained, digit_scenes, monkeypatch):
    monkeypatch.setattr(evaluation, "evaluate", None)
    flags = [f"--weights={trained.folder / 'checkpoints'}", f"--annotations={digit_scenes}"]
    for path in (digit_scenes / "x", digit_scenes.parent / ("x" * 300)):
        with pytest.raises(OSError):
            evaluate_mAP.main([*flags, f"--report={path}"])
