"""Start and resume: what is checked and said before, the lock, and how a run ends."""

import errno
import json
import os
import re

import numpy as np
import pytest
from checkpoint_samples import CLASS_NAMES
from small_training import after_each, found_nothing, thin_network

import train
from yolov3 import yolov3 as networks
from yolov3.checkpoints import find_checkpoint, save_checkpoint
from yolov3.cli.run import run_script
from yolov3.configs import Config
from yolov3.runs import checkpoint_manager, resources, start
from yolov3.runs.run_folders import locked
from yolov3.runs.run_logger import LOSSES, MAPS
from yolov3.runs.start import start_training


@pytest.fixture
def flags(tmp_path, digit_scenes, monkeypatch):
    """Return the flags of a training of a thin network on one image, in the current folder."""
    monkeypatch.setattr(networks, "_tiny", thin_network)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.names").write_text("\n".join(CLASS_NAMES))
    (tmp_path / "own.txt").write_text(f"{digit_scenes.parent / 'scene 0.png'} 4,4,60,60,1\n")
    return [
        *("--tiny", "--train-classes=own.names", "--train-annot-path=own.txt"),
        *("--test-annot-path=", "--train-input-size=32", "--train-input-scales=1"),
        *("--train-batch-size=1", "--train-epochs=2", "--precision=float32"),
    ]


def run(*flags) -> int:
    return start_training(train.parse_args([str(flag) for flag in flags]))


def end_of(capsys, *flags):
    """Return the exit code and the last line of standard error."""
    with pytest.raises(SystemExit) as end:
        run_script(lambda: run(*flags))
    return end.value.code, capsys.readouterr().err.splitlines()[-1]


def test_a_new_run_says_what_it_does_and_how_to_evaluate_it(flags, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(resources.Pace, "used", 3725.0)  # with the seconds before the first step
    assert run(*flags) == 0
    out = capsys.readouterr().out
    [folder] = (tmp_path / "checkpoints").iterdir()
    timing = "timing      some steps at 32 px, to tell how long it takes\n"
    assert f"{timing}network     yolov3-tiny, 2 classes, float32\n" in out
    assert "data        1 image to train on (own.txt), none to validate on\n" in out
    assert "training    2 epochs at 32 px, batches of 1," in out and "hours" not in out
    command = f"python evaluate_mAP.py --weights checkpoints/{folder.name} --annotations FILE\n"
    assert out.endswith(f"\nfinished in 1 h 2 min\nevaluate it: {command}")


def test_a_run_with_a_name_and_a_file_of_settings(flags, tmp_path, capsys):
    (tmp_path / "my.yaml").write_text("train_epochs: 1\nseed: 7\n")
    assert run(*flags, "--config=my.yaml", "--name=cells", "--train-epochs=2") == 0
    [last] = (tmp_path / "checkpoints" / "cells").glob("last-000002")
    saved = find_checkpoint(last).config
    assert (saved.seed, saved.train_epochs) == (7, 2)
    assert Config.from_json(tmp_path / "log" / "cells" / "config.json") == saved
    data = json.loads((tmp_path / "log" / "cells" / "data.json").read_text())
    assert (data["images"], len(data["trained_on"])) == (1, 64)
    code, error = end_of(capsys, *flags, "--name=cells")
    assert (code, error) == (
        2,
        "error: checkpoints/cells: there is a run of this name; choose another --name",
    )
    assert run("--resume=checkpoints/cells", "--train-epochs=3") == 0


def test_patience_ends_a_run_for_good(flags, tmp_path, capsys, monkeypatch):
    maps = iter((0.5, 0.4, 0.3, 0.5, *[0.1] * 4))

    validate = found_nothing()
    validate.side_effect = lambda *_: dict.fromkeys((*LOSSES, *MAPS), next(maps))
    monkeypatch.setattr(start, "Validator", lambda *_: validate)
    own = ("--test-annot-path=own.txt", "--train-epochs=9", "--patience=2", "--name=a")
    assert run(*flags, *own) == 0
    out = capsys.readouterr().out
    assert "ended after 3 of 9 epochs: 2 without a better validation mAP (--patience)\n" in out
    assert "best validation mAP 0.5000\nevaluate it:" in out
    assert run("--resume=checkpoints/a") == 0
    assert (
        capsys.readouterr().out
        == "checkpoints/a: was finished after 3 epochs; more with --patience\n"
    )
    assert run("--resume=checkpoints/a", "--patience=4") == 0
    assert "ended after 8 of 9 epochs: 4 without" in capsys.readouterr().out
    code, error = end_of(capsys, *flags, "--patience=1")
    assert code == 2 and error.startswith("error: --patience needs --test-annot-path")


def test_an_earlier_checkpoint_and_other_data_are_said(flags, tmp_path, capsys):
    run(*flags, "--test-annot-path=own.txt")
    earlier, _ = sorted(tmp_path.glob("checkpoints/*/last-*"))
    for name in ("own.txt", "test.txt"):
        (tmp_path / name).write_text((tmp_path / "own.txt").read_text().replace("60,60", "50,50"))
    run("--resume", earlier, "--test-annot-path=test.txt", "--train-logdir=elsewhere")
    out = capsys.readouterr().out
    assert "note: best-000002, last-000002: later; deleted when this run saves one of its" in out
    assert "changed: images to train on, or their boxes (the run will differ)\n" in out
    reset = "(weights unaffected; best checkpoint reset)\n"
    assert f"changed: images to validate on, or their boxes {reset}" in out
    assert f"changed: test_annot_path from 'own.txt' to 'test.txt' {reset}" in out
    assert "changed: train_logdir from 'log' to 'elsewhere' (weights unaffected)\n" in out


class Stop(Exception):
    pass


def test_the_backbone_is_frozen_then_free_and_resumed_in_between(flags, capsys, monkeypatch):
    run(*flags)
    given = find_checkpoint("checkpoints")
    flags += [f"--weights={given.path}", "--freeze-epochs=2", "--train-epochs=4"]
    flags += ["--train-average-decay=0", "--train-warmup-epochs=0"]
    trainings, kernels, build = [], {}, start.build
    monkeypatch.setattr(
        start, "build", lambda *args: trainings.append(build(*args)) or trainings[-1]
    )

    def note(step, *_):
        kernels[step] = trainings[-1].train_step.model.get_layer("conv_0").kernel.numpy()

    def stop(step, *_):
        if step == 2:  # the log is ahead of the checkpoint of step 1
            raise Stop

    with after_each("log_step", note):
        assert run(*flags, "--train-checkpoints-folder=whole") == 0
        error = capsys.readouterr().err
        assert "epoch 1: the backbone is frozen\n" in error
        assert "epoch 3: the backbone is free to learn\n" in error
        whole, kernels = kernels, {}
        with pytest.raises(Stop), after_each("log_step", stop):
            run(*flags, "--train-checkpoints-folder=parts")
        assert run("--resume", "parts") == 0
    for step in (1, 2):
        np.testing.assert_array_equal(whole[step], given.weights()["conv_0/kernel"])
    assert not np.array_equal(whole[3], whole[2])
    for step in (1, 2, 3, 4):
        np.testing.assert_array_equal(kernels[step], whole[step])


def test_freezing_random_weights_is_refused(flags, capsys):
    code, error = end_of(capsys, *flags, "--freeze-epochs=1")
    assert code == 2 and error.startswith("error: --freeze-epochs needs --weights: ")
    assert not os.path.exists("checkpoints")


def test_a_run_is_locked_while_it_trains_and_free_afterwards(flags, tmp_path):
    tried = []

    def try_lock(*_):
        [folder] = (tmp_path / "checkpoints").iterdir()
        with pytest.raises(ValueError, match="already being trained"), locked(folder):
            pass
        tried.append(folder)

    with after_each("log_step", try_lock):
        assert run(*flags) == run("--resume", "--train-epochs=3") == 0
    assert len(tried) == 3
    with locked(tried[0]):
        pass


@pytest.mark.parametrize("has_checkpoint", [False, True])
def test_a_failing_disk_ends_a_run_with_one_line_that_says_how_to_resume(
    flags, tmp_path, capsys, monkeypatch, has_checkpoint
):
    def fail(*args):
        if len(list(tmp_path.glob("checkpoints/*/last-*"))) == has_checkpoint:
            raise OSError(errno.ENOSPC, "No space left on device", "model.safetensors")
        return save_checkpoint(*args)

    monkeypatch.setattr(checkpoint_manager, "save_checkpoint", fail)
    code, error = end_of(capsys, *flags)
    [folder] = (tmp_path / "checkpoints").iterdir()
    assert code == 1
    assert error.startswith("failed: [Errno 28] No space left on device: 'model.safetensors'; ")
    command = f"resume with: python train.py --resume checkpoints/{folder.name}"
    assert error.endswith(command if has_checkpoint else "no checkpoint to resume yet")


@pytest.mark.parametrize("check", ["check_disk", "check_memory"])
def test_a_small_machine_is_an_error_before_anything_is_written(
    flags, tmp_path, capsys, monkeypatch, check
):
    def refuse(*_):
        raise ValueError(f"{check} refuses")

    monkeypatch.setattr(start.tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(start, check, refuse)
    assert end_of(capsys, *flags) == (2, f"error: {check} refuses")
    assert not (tmp_path / "checkpoints").exists() and not (tmp_path / "log").exists()


def test_own_classes_are_not_validated_on_the_tutorials_images(flags, tmp_path, capsys):
    code, error = end_of(capsys, *flags, f"--test-annot-path={Config.test_annot_path}")
    assert code == 2 and error.startswith("error: own.names: the tutorial's mnist/mnist_test.txt")


# A budget of minutes


def final_weights(folder):
    return find_checkpoint(folder, "last").resume_state()


def test_a_budget_trains_as_the_flags_that_it_says_do_and_is_resumed_exactly(
    flags, capsys, monkeypatch
):
    costs = resources.Costs({32: 50.0}, validated=0, save=5.0)
    monkeypatch.setattr(resources, "measure_costs", lambda *_: costs)
    monkeypatch.setattr(resources.Pace, "changed", lambda *_: False)  # the real clock is not theirs
    *flags, _, precision = flags
    flags += [precision, "--max-minutes=10"]
    assert run(*flags, "--train-checkpoints-folder=planned") == 0
    out = capsys.readouterr().out
    said = re.search("; without --max-minutes the same are: (.+)", out)[1].split()
    assert said[:2] == ["--train-epochs", "10"]
    explicit = [*flags[:-1], *said, "--train-checkpoints-folder=explicit"]
    assert run(*explicit) == 0

    def stop(step, *_):
        if step == 3:  # the checkpoint is that of step 2
            raise Stop

    with pytest.raises(Stop), after_each("log_step", stop):
        run(*flags, "--train-checkpoints-folder=parts")
    capsys.readouterr()
    before = final_weights("parts")[checkpoint_manager.USED]
    assert run("--resume", "parts") == 0
    assert before < final_weights("parts")[checkpoint_manager.USED] < 600
    assert "changed" not in capsys.readouterr().out
    expected = final_weights("explicit")
    for folder in ("planned", "parts"):
        state = final_weights(folder)
        assert state.keys() - expected.keys() == {checkpoint_manager.USED}
        for name in expected:
            np.testing.assert_array_equal(state[name], expected[name], err_msg=name)

    assert run("--resume", "planned") == 0
    assert "was finished after " in capsys.readouterr().out
    assert run("--resume", "planned", "--max-minutes=14") == 0
    assert "changed: max_minutes from 10.0 to 14.0" in capsys.readouterr().out
    assert find_checkpoint("planned", "last").step > expected["step"]
    with pytest.raises(ValueError, match="max_minutes: over before the next step"):
        run(*flags[:-1], "--max-minutes=0.001", "--train-checkpoints-folder=none")
    assert not os.path.exists("none")


def test_a_plan_that_ends_after_the_last_epoch_leaves_a_finished_run(flags, capsys, monkeypatch):
    monkeypatch.setattr(resources, "measure_costs", lambda *_: resources.Costs({32: 1.0}, 0, 1.0))

    def end_at(pace, step):
        pace.schedule = resources.longest(pace.schedule, pace.costs, -1.0 if step else 600.0, step)
        return step == 2

    monkeypatch.setattr(resources.Pace, "changed", end_at)
    assert run(*flags[:-2], flags[-1], "--max-minutes=10", "--name=a") == 0
    assert run("--resume=checkpoints/a") == 0
    assert "a: was finished after 2 epochs; more with --train-epochs\n" in capsys.readouterr().out
    with pytest.raises(ValueError, match="max_minutes: over before the next step"):
        run("--resume=checkpoints/a", f"--max-minutes={1.5 / 60}")  # where a step and a save take 2


def test_a_part_of_an_epoch_is_not_the_whole_one(flags, tmp_path, capsys):
    (tmp_path / "own.txt").write_text(2 * (tmp_path / "own.txt").read_text())
    assert run(*flags, "--train-epochs=0.5", "--name=a") == 0
    assert run("--resume=checkpoints/a") == 0
    assert "a: was finished after 0.5 epochs; more with" in capsys.readouterr().out
    assert run("--resume=checkpoints/a", "--train-epochs=1") == 0
    assert find_checkpoint("checkpoints/a", "last").step == 2
