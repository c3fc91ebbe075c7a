"""Tests of what stands around a training: the lock, and the line that ends it when a disk fails."""

import os
from dataclasses import replace
from types import SimpleNamespace

import pytest
from checkpoint_samples import CLASS_NAMES, save

from yolov3.annotations import read_class_names
from yolov3.checkpoints import open_checkpoint
from yolov3.cli.run import run_script
from yolov3.configs import REPO, Config
from yolov3.runs import start
from yolov3.runs.plan import Plan
from yolov3.runs.run_lock import locked
from yolov3.runs.start import start_training


@pytest.fixture
def config(tmp_path, digit_scenes):
    (tmp_path / "own.names").write_text("\n".join(CLASS_NAMES))
    (tmp_path / "own.txt").write_text(f"{digit_scenes.parent / 'scene 0.png'}\n")
    return Config(
        tiny=True,
        train_classes=str(tmp_path / "own.names"),
        train_annot_path=str(tmp_path / "own.txt"),
        test_annot_path="",
        train_checkpoints_folder=str(tmp_path / "checkpoints"),
        train_logdir=str(tmp_path / "log"),
    )


@pytest.fixture
def training(monkeypatch):
    """Have nothing trained; return what stands for the training, whose `fit` a test replaces."""
    stub = SimpleNamespace(step=0, validate=None, seconds=1.0, resume=lambda _: 0)
    stub.keeper = SimpleNamespace(best=-1.0, changed_data=lambda _: [])

    def make(config, records, test_records, class_names):
        stub.config, stub.records, stub.class_names = config, records, class_names
        stub.plan = Plan(config, 1000)
        return stub

    monkeypatch.setattr(start, "Training", make)
    return stub


def end_of(config, checkpoint, capsys):
    """Return the exit code and what went to standard error."""
    with pytest.raises(SystemExit) as end:
        run_script(lambda: start_training(config, checkpoint))
    return end.value.code, capsys.readouterr().err


def test_run_that_is_trained_is_not_resumed(tmp_path, config, training, capsys):
    run = tmp_path / "checkpoints" / "mine"
    checkpoint = open_checkpoint(save(run, "last", 100))
    with locked(run):
        code, error = end_of(config, checkpoint, capsys)
    expected = f"error: {run}: expected a run that nobody trains; process {os.getpid()} on "
    assert code == 2 and error.startswith(expected) and error.count("\n") == 1
    assert not (tmp_path / "log").exists()


def test_new_and_resumed_runs_are_locked_while_they_train_and_free_afterwards(
    tmp_path, config, training, capsys
):
    tried = []

    def fit(run):
        training.run = run
        with pytest.raises(ValueError, match="expected a run that nobody trains"):
            with locked(run.checkpoints):
                pass
        tried.append(run.name)
        return start.Outcome.FINISHED

    training.fit = fit
    assert start_training(config) == 0
    checkpoint = open_checkpoint(save(tmp_path / "checkpoints" / "mine", "last", 100))
    assert start_training(config, checkpoint) == 0
    for name in tried:
        with locked(tmp_path / "checkpoints" / name):
            pass
    assert len(tried) == 2 and tried[1] == "mine"


@pytest.mark.parametrize(
    ("best", "is_validated", "ending"),
    [
        (-1.0, False, "\nevaluate it: python evaluate_mAP.py --weights {} --annotations FILE\n"),
        (-1.0, True, "\nevaluate it: python evaluate_mAP.py --weights {}\n"),
        (
            0.5,
            True,
            "; best validation mAP 0.5000\nevaluate it: python evaluate_mAP.py --weights {}\n",
        ),
    ],
    ids=["not validated", "without boxes", "validated"],
)
def test_end_of_a_run_says_how_good_it_is_and_how_to_evaluate_it(
    config, training, capsys, best, is_validated, ending
):
    def fit(run):
        training.run, training.keeper.best = run, best
        training.validate = SimpleNamespace(records=[]) if is_validated else None
        return start.Outcome.FINISHED

    training.fit = fit
    start_training(config)
    out = capsys.readouterr().out
    assert out.endswith("finished in 1 s" + ending.format(training.run.checkpoints))


def test_resumed_run_of_other_data_says_so(tmp_path, config, training, capsys):
    checkpoint = open_checkpoint(save(tmp_path / "checkpoints" / "mine", "last", 750))
    training.keeper.changed_data = lambda checkpoint: ["trained_on", "validated_on"]
    training.fit = lambda run: start.Outcome.DIVERGED
    start_training(config, checkpoint)
    out = capsys.readouterr().out
    assert "changed: images to train on, or their boxes (the run will differ)\n" in out
    assert "changed: images to validate on, or their boxes (no effect on the weights; the" in out


def test_resuming_an_earlier_checkpoint_names_the_later_ones(tmp_path, config, training, capsys):
    run = tmp_path / "checkpoints" / "mine"
    earlier = open_checkpoint(save(run, "last", 500))
    training.fit = lambda run: start.Outcome.DIVERGED
    start_training(config, earlier)
    assert "later steps" not in capsys.readouterr().out
    save(run, "last", 750), save(run, "best", 750)
    start_training(config, earlier)
    out = capsys.readouterr().out
    assert "note: best-000750, last-000750 of later steps: each goes when" in out


def test_own_classes_are_not_judged_by_the_tutorials_images(tmp_path, config, training, capsys):
    config = replace(config, test_annot_path=Config.test_annot_path)
    code, error = end_of(config, None, capsys)
    assert code == 2 and error.count("\n") == 1
    assert error.startswith(f"error: {config.train_classes}: expected --test-annot-path with")
    digits = read_class_names(REPO / Config.train_classes)
    (tmp_path / "own.names").write_text("\n".join(digits))
    start._require_own_test_data(config, digits)  # the same classes, in a file of their own


def test_freezing_random_weights_is_noted(config, training, capsys):
    training.fit = lambda run: start.Outcome.DIVERGED
    start_training(replace(config, freeze_epochs=1))
    out = capsys.readouterr().out
    assert "note: --freeze-epochs without --weights" in out
    assert "1 images to train on (" in out and "own.txt), none to validate on\n" in out


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_failing_disk_ends_a_run_with_one_line_that_says_how_to_go_on(
    config, training, capsys, has_checkpoint
):
    def fit(run):
        training.run = run
        if has_checkpoint:
            save(run.checkpoints, "last", 100)
        raise OSError(28, "No space left on device", "model.safetensors")

    training.fit = fit
    code, error = end_of(config, None, capsys)
    folder = training.run.checkpoints
    assert code == 1 and error.count("\n") == 1
    assert error.startswith("failed: [Errno 28] No space left on device: 'model.safetensors'; ")
    assert (f"go on with: python train.py --resume {folder}\n" in error) is has_checkpoint
    assert ("no checkpoint to go on from" in error) is not has_checkpoint


@pytest.mark.parametrize("check", ["check_disk", "check_memory"])
def test_small_machine_is_an_error_before_anything_is_written(
    tmp_path, config, training, capsys, monkeypatch, check
):
    def refuse(*_):
        raise ValueError(f"{check} refuses")

    monkeypatch.setattr(start.tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(start, check, refuse)
    assert end_of(config, None, capsys) == (2, f"error: {check} refuses\n")
    assert not (tmp_path / "checkpoints").exists() and not (tmp_path / "log").exists()


def test_names_without_end_are_refused(tmp_path, config, training, capsys):
    (tmp_path / "own.names").write_text("\n".join(map(str, range(10_001))))
    code, error = end_of(config, None, capsys)
    assert code == 2 and "own.names: expected at most 10,000 class names; received 10,001" in error
