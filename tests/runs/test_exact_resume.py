"""A run that is killed, stopped or breaks ends as one that was never disturbed: weights and log."""

import os
import signal

import numpy as np
import pytest
from small_training import (
    NAMES,
    PER_PROCESS,
    after_each,
    config_in,
    events_of,
    fit,
    results_of,
    scalars_of,
    thin_network,
    training_of,
)

from yolov3 import yolov3 as networks
from yolov3.annotations import read_annotations
from yolov3.checkpoints import find_checkpoint
from yolov3.runs import checkpoint_manager, start
from yolov3.runs.checkpoint_manager import CheckpointManager, SaveTimer
from yolov3.runs.run_folders import resumed_run
from yolov3.training import Outcome
from yolov3.validation import Validator
from yolov3.weights import assign_by_name, state_dict

SAVED, DIED = 4, 5  # steps: what was logged in between is to be logged again


PER_EPOCH, TOTAL = 3, 8  # steps: the last epoch is two thirds of one
CHANGES = {
    "train_epochs": 8 / 3,
    "augment_flip": 0.5,
    "augment_value": 0.3,
    "augment_translate": 0.2,
    "augment_rotate": 10.0,
    "augment_mosaic": 0.5,  # in the first epoch alone
    "augment_mixup": 0.5,
    "augment_close": 0.5,
    "augment_sizes": (1.0, 2.0),
}

NOT_COMPARED = ("config", *PER_PROCESS)  # the configuration has paths


def prepare(records, folder, **changes):
    """Build a training of eight steps, three to an epoch, the last of which crosses two passes."""
    return training_of(config_in(folder, **CHANGES | changes), [*records, *records[:3]], records)


def train_whole(records, folder, **changes) -> dict:
    training = prepare(records, folder, **changes)
    assert fit(training) is Outcome.FINISHED
    return final_state(training)


def resume(records, folder, **changes):
    """Resume the run in a folder to its end; return the training and where it began."""
    training = prepare(records, folder, **changes)
    last = find_checkpoint(training.config.train_checkpoints_folder, "last")
    start.resume(training, last)
    assert fit(training, resumed_run(training.config, last)) is Outcome.FINISHED
    return training, last


def final_state(training) -> dict:
    """Return all that a run leaves: variables, log, what validation kept, checkpoints."""
    manager = training.manager
    return {
        "variables": state_dict(training.train_step.variables()),
        "log": [event for event in events_of(training.run.log) if event[0] not in NOT_COMPARED],
        "results": results_of(training.run.log),
        "kept": (manager.metrics, manager.best_mAP, manager.best_size, manager.best_epoch),
        "folders": sorted(path.name for path in training.run.checkpoints.glob("*-*")),
        "run": training.run,
    }


def assert_same(end, expected):
    """Compare how two runs ended, bit for bit."""
    assert end["variables"].keys() == expected["variables"].keys()
    for name, value in end["variables"].items():
        np.testing.assert_array_equal(value, expected["variables"][name], err_msg=name)
    assert end["variables"]["step"] == TOTAL
    for name in ("log", "results", "kept", "folders"):
        assert end[name] == expected[name], name


def test_results_have_a_line_for_each_validation(whole):
    rows, scalars = whole["results"], scalars_of(whole["run"].log)
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "3"), ("2", "6"), ("3", "8")]
    for row, first in zip(rows, (1, 4, 7), strict=True):
        last = int(row["step"])
        for name in ("total", "giou", "conf", "prob"):
            losses = [x for step, x in scalars[f"loss/{name}_loss"] if first <= step <= last]
            assert float(row[f"{name}_loss"]) == pytest.approx(np.mean(losses), rel=1e-5)
            validated = dict(scalars[f"validate_loss/{name}_val"])[last]
            assert float(row[f"{name}_val"]) == pytest.approx(validated, rel=1e-5)
        assert float(row["lr"]) == pytest.approx(dict(scalars["lr"])[last], rel=1e-5)
        assert float(row["mAP"]) == pytest.approx(dict(scalars["mAP/mAP"])[last], abs=1e-6)
        assert row["input_size"] == "32"


def die_at(step, die):
    """Have `die()` called when a step was logged, within a `with` block."""
    return after_each("log_step", lambda number, *_: die() if number == step else None)


class Crash(Exception):
    pass


def crash(*_):
    raise Crash


@pytest.fixture(scope="module")
def records(digit_scenes):
    return read_annotations(digit_scenes, len(NAMES))


@pytest.fixture(scope="module", autouse=True)
def thin():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "_tiny", thin_network)
        yield


@pytest.fixture(scope="module")
def one_graph(records, tmp_path_factory):
    """Build one network for many trainings: return a function that resets it and gives it to them.

    To build its graph takes longer than to train it.
    """
    built = {}

    def use_it(patch, **changes):
        key = str(changes)
        if key not in built:
            training = prepare(records, tmp_path_factory.mktemp("graph"), **changes)
            built[key] = training, state_dict(training.train_step.variables())
        training, initial = built[key]

        def reset_step(*_):
            assign_by_name(training.train_step.variables(), initial)
            return training.train_step

        patch.setattr(start, "TrainStep", reset_step)
        patch.setattr(start, "Validator", lambda *_: training.validate)

    return use_it


@pytest.fixture(scope="module")
def whole(records, one_graph, tmp_path_factory):
    """Train without a disturbance; return how it ended."""
    with pytest.MonkeyPatch.context() as patch:
        one_graph(patch)
        return train_whole(records, tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_after_a_crash_with_a_log_ahead_of_the_checkpoint(
    precision, records, one_graph, tmp_path, monkeypatch
):
    one_graph(monkeypatch, precision=precision)
    expected = train_whole(records, tmp_path / "whole", precision=precision)
    broken = prepare(records, tmp_path / "parts", precision=precision)
    with monkeypatch.context() as patch, die_at(DIED, crash):
        patch.setattr(SaveTimer, "is_due", lambda self, before: broken.step == SAVED)
        with pytest.raises(Crash):
            fit(broken)
    assert scalars_of(broken.run.log)["lr"][-1][0] == DIED
    resumed, last = resume(records, tmp_path / "parts", precision=precision)
    assert (last.step, last.epoch) == (SAVED, 1)
    assert_same(final_state(resumed), expected)
    configs = [step for tag, step, _ in events_of(resumed.run.log) if tag == "config"]
    assert configs == [1]


@pytest.mark.parametrize("step", [4, 6], ids=["within an epoch", "at the end of one"])
def test_after_ctrl_c(step, records, whole, one_graph, tmp_path, monkeypatch):
    one_graph(monkeypatch)
    stopped = prepare(records, tmp_path)
    with die_at(step, lambda: os.kill(os.getpid(), signal.SIGINT)):
        assert fit(stopped) is Outcome.INTERRUPTED
    resumed, last = resume(records, tmp_path)
    assert (last.step, last.epoch) == (step, 1)  # the second epoch is validated after the resume
    assert_same(final_state(resumed), whole)


def crash_in_the_last_validation(training, call, *args):
    return crash() if training.step == TOTAL else call(*args)


def crash_after_the_best_is_saved(training, call, manager, kind, *args):
    call(manager, kind, *args)  # flushes the log first
    if kind == "best":
        raise Crash


@pytest.mark.parametrize(
    ("owner", "method", "disturbed", "begins_at"),
    [
        (Validator, "__call__", crash_in_the_last_validation, (TOTAL, 2)),
        (CheckpointManager, "save", crash_after_the_best_is_saved, (PER_EPOCH, 0)),
    ],
    ids=["in a validation", "between a validation and its save"],
)
def test_after_a_crash_around_a_validation(
    owner, method, disturbed, begins_at, records, whole, one_graph, tmp_path, monkeypatch
):
    one_graph(monkeypatch)
    broken, call = prepare(records, tmp_path), getattr(owner, method)
    with monkeypatch.context() as patch:
        patch.setattr(owner, method, lambda *args: disturbed(broken, call, *args))
        patch.setattr(SaveTimer, "is_due", lambda self, before: before == "validation")
        with pytest.raises(Crash):
            fit(broken)
    resumed, last = resume(records, tmp_path)
    assert (last.step, last.epoch) == begins_at
    assert_same(final_state(resumed), whole)


def test_the_log_is_written_before_each_checkpoint(records, one_graph, tmp_path, monkeypatch):
    one_graph(monkeypatch)
    training = prepare(records, tmp_path, train_epochs=2)
    write, seen = checkpoint_manager.save_checkpoint, []

    def look_and_write(folder, kind, config, state, *rest):
        scalars = scalars_of(training.run.log)
        assert scalars["loss/prob_loss"][-1][0] == training.step
        assert len(scalars.get("mAP/mAP", [])) == state["epoch"]
        seen.append(training.step)
        return write(folder, kind, config, state, *rest)

    monkeypatch.setattr(SaveTimer, "is_due", lambda self, before: True)
    monkeypatch.setattr(checkpoint_manager, "save_checkpoint", look_and_write)
    assert fit(training) is Outcome.FINISHED
    assert sorted(set(seen)) == [1, 2, 3, 4, 5, 6] and seen.count(3) == 3  # best and last


def test_the_end_of_a_run_is_resumed_without_a_step(records, whole, one_graph, monkeypatch):
    one_graph(monkeypatch)
    again, _ = resume(records, whole["run"].checkpoints.parents[1])
    assert_same(final_state(again), whole)


def test_changed_settings_are_logged_where_they_begin(records, one_graph, tmp_path, monkeypatch):
    one_graph(monkeypatch)
    assert fit(prepare(records, tmp_path, train_epochs=1)) is Outcome.FINISHED
    longer, _ = resume(records, tmp_path, train_epochs=2)
    configs = [(step, text) for tag, step, text in events_of(longer.run.log) if tag == "config"]
    assert [step for step, _ in configs] == [1, PER_EPOCH + 1]
    assert b"**train_epochs** | `2`" in configs[1][1]
