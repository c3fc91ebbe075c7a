"""train.py: what it writes and prints, how Ctrl-C and --resume go together, what it refuses."""

import json
import os
import shutil

import pytest
from script_runs import refusal, training_flags, write

import train
from yolov3.checkpoints import find_checkpoint
from yolov3.configs import Config
from yolov3.data import annotation_check

FILES = {"model.safetensors", "config.json", "state.json", "checksums.json"}


def test_train_writes_checkpoints_and_log(trained):
    [name] = os.listdir(trained.folder / "checkpoints")
    assert name.startswith("yolov3-tiny_")
    best, last = (
        find_checkpoint(trained.folder / "checkpoints", kind) for kind in ("best", "last")
    )
    assert set(os.listdir(best.path)) == FILES
    assert set(os.listdir(last.path)) == FILES | {"resume.safetensors"}
    config = json.loads((best.path / "config.json").read_text())
    assert config["tiny"] is True and config["train_epochs"] == 500
    assert len(list((trained.folder / "log" / name).glob("events.out.tfevents.*"))) == 1
    assert "yolov3-tiny, 10 classes" in trained.out
    assert "8 images to train on (" in trained.out and "8 to validate on (" in trained.out
    assert "epoch 1/500 64 px" in trained.error and "validation: loss" in trained.error
    assert "Traceback" not in trained.error


def test_interrupt_ends_it_with_a_checkpoint_to_resume(trained):
    assert trained.code == 130, trained.out + trained.error
    stopped = find_checkpoint(trained.folder / "checkpoints", "last")
    assert f"stopped at step {stopped.step} of 1000" in trained.out
    run = stopped.path.parent.relative_to(trained.folder)
    assert f"python train.py --resume {run}" in trained.out


def test_resume_goes_on_to_the_end_and_then_says_that_it_is_reached(
    trained, tmp_path, monkeypatch, capsys
):
    shutil.copytree(trained.folder / "checkpoints", tmp_path / "checkpoints")
    monkeypatch.chdir(tmp_path)
    stopped = find_checkpoint("checkpoints", "last")
    epochs = stopped.epoch + 2
    assert train.main(["--resume", f"--train-epochs={epochs}", "--test-annot-path="]) == 0
    out = capsys.readouterr().out
    assert f"changed: train_epochs from 500 to {epochs} (the run will differ)" in out
    assert f"at step {stopped.step} of {2 * epochs}" in out
    assert "python evaluate_mAP.py" in out
    assert find_checkpoint("checkpoints", "last").step == 2 * epochs
    assert train.main(["--resume"]) == 0
    assert f"was finished after {epochs} epochs" in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--train-annot-path", "--test-annot-path"])
def test_train_refuses_bad_annotations(digit_scenes, tmp_path, capfd, flag):
    flags = [*training_flags(digit_scenes), f"--train-checkpoints-folder={tmp_path / 'new'}"]
    bad = write(tmp_path / "bad.txt", "gone.png 1,2,3,4,5")
    line = refusal(capfd, train.main, [*flags, f"{flag}={bad}"])
    assert "bad.txt:1: expected an image; received" in line
    assert not (tmp_path / "new").exists()  # refused before anything is written


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--train-annot-path=gone.txt", "gone.txt: expected a file; there is none"),
        ("--test-annot-path=gone.txt", "gone.txt: expected a file; there is none"),
        ("--train-classes=gone.names", "gone.names: expected a file; there is none"),
        ("--train-input-size=100", "train_input_size: expected a positive multiple of 32"),
        ("--resume=nowhere", "nowhere: no such checkpoint or folder of checkpoints"),
        ("--weights=gone.weights", "gone.weights"),
    ],
)
def test_train_refuses_bad_flags(digit_scenes, tmp_path, monkeypatch, capfd, flag, expected):
    monkeypatch.chdir(tmp_path)
    assert expected in refusal(capfd, train.main, [*training_flags(digit_scenes), flag])
    assert not os.listdir(tmp_path)


def test_epochs_are_given_or_follow_from_minutes(tmp_path, capfd):
    assert "give one of them" in refusal(capfd, train.main, ["--max-minutes=9", "--train-epochs=2"])
    (tmp_path / "my.yaml").write_text("max_minutes: 9\n")
    args = train.parse_args([f"--config={tmp_path / 'my.yaml'}", "--train-epochs=2"])
    assert (args.train_epochs, args.max_minutes) == (2, 0)


def test_train_without_data_says_how_to_make_them(digit_scenes, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(annotation_check, "REPO", tmp_path)
    line = refusal(capfd, train.main, [f"--train-classes={digit_scenes.parent / 'digits.names'}"])
    assert Config.train_annot_path in line and "python mnist/make_data.py" in line


def test_resume_refuses_other_class_names(trained, tmp_path, capfd):
    names = write(tmp_path / "twelve.names", "\n".join(map(str, range(12))))
    resume = ["--resume", trained.folder / "checkpoints"]
    line = refusal(capfd, train.main, [*resume, f"--train-classes={names}"])
    assert "twelve.names: expected the class names of" in line
