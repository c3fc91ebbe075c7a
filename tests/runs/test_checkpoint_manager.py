"""Which validation is the best so far, what may be resumed, and when to save."""

import numpy as np
import pytest
import tensorflow as tf
from checkpoint_samples import CLASS_NAMES, STATE, WEIGHTS

from yolov3.checkpoints import open_checkpoint, save_checkpoint
from yolov3.configs import Config
from yolov3.runs.checkpoint_manager import MAX_SECONDS_LOST, USED, CheckpointManager, SaveTimer

NAN = float("nan")
DATA = {"trained_on": "1f", "validated_on": "2e"}


class Step:
    """What a manager needs to know of a train step."""

    def __init__(self, scales_loss):
        self.scales_loss = scales_loss

    def variables(self):
        scale = {"optimizer/loss_scale/dynamic_scale": tf.Variable(1.0)} if self.scales_loss else {}
        return {"step": tf.Variable(0, dtype=tf.int64), **scale}


def resumed(folder, change=(), was_scaled=False, scales_loss=False, data=DATA, used=0.0, **more):
    """Return a manager that resumed a checkpoint of mAP 0.5 at 416 px, and the checkpoint."""
    state = {**STATE, "step": 7, "epoch": 1, "metrics": {"mAP": 0.4}, "input_size": 416, **DATA}
    state |= more
    values = Step(was_scaled).variables().items()
    resume = {name: np.asarray(value.numpy()) for name, value in values}
    resume[USED] = np.array(used)
    path = save_checkpoint(folder, "last", Config(tiny=True), state, WEIGHTS, resume)
    config = Config(tiny=True, **dict(change))
    manager = CheckpointManager(config, CLASS_NAMES, Step(scales_loss), data)
    checkpoint = open_checkpoint(path)
    manager.resume(checkpoint)
    return manager, checkpoint


@pytest.mark.parametrize(
    ("change", "changed_data", "best"),
    [
        ({"seed": 8, "test_score_threshold": 0.5}, {}, (0.5, 416)),
        ({"test_annot_path": "harder.txt"}, {}, (-1.0, 0)),
        ({"test_iou_threshold": 0.6}, {}, (-1.0, 0)),
        ({}, {"trained_on": "3d"}, (0.5, 416)),
        ({}, {"validated_on": "3d"}, (-1.0, 0)),
    ],
)
def test_the_best_is_reset_if_validated_in_another_way(tmp_path, change, changed_data, best):
    manager, checkpoint = resumed(tmp_path, change, data=DATA | changed_data)
    assert (manager.best_mAP, manager.best_size) == best
    assert manager.best_epoch == 1  # of the state, which has none, or where it begins anew
    assert manager.metrics == {"mAP": 0.4}
    assert manager.changed_data(checkpoint) == list(changed_data)


def test_the_time_used_is_resumed_unless_it_is_none(tmp_path):
    manager, _ = resumed(tmp_path, used=12.5)
    assert manager.pace.used_before == 12.5
    for damaged in (-1.0, NAN, [1.0], []):
        with pytest.raises(ValueError, match="^seconds_used: expected a number; received "):
            resumed(tmp_path, used=damaged)


@pytest.mark.parametrize("was_scaled", [True, False])
def test_float16_is_not_resumed_in_another_precision_nor_the_reverse(tmp_path, was_scaled):
    expected = "was trained in float16" if was_scaled else "was not trained in float16"
    with pytest.raises(ValueError, match=f"^precision: this run {expected}"):
        resumed(tmp_path, (), was_scaled, not was_scaled)
    resumed(tmp_path, (), was_scaled, was_scaled)


@pytest.mark.parametrize(
    ("validations", "expected", "best"),
    [
        ([(0.3, 32), (0.2, 32), (0.4, 32)], [True, False, True], 0.4),
        ([(0.3, 32), (0.3, 32)], [True, True], 0.3),  # of equals the newer one
        ([(0.9, 32), (0.5, 64), (0.4, 64)], [True, True, False], 0.5),  # a larger size starts over
        ([(0.5, 64), (0.9, 32), (0.6, 64)], [True, False, True], 0.6),  # a smaller one never wins
        ([(NAN, 32), (NAN, 32)], [True, True], -1.0),  # no image has a box
        ([(0.3, 32), (NAN, 32), (0.1, 32)], [True, True, True], 0.1),
        ([(None, 32), (None, 32)], [True, True], -1.0),  # no validation
    ],
)
def test_the_best_is_the_highest_map_of_the_largest_size(validations, expected, best):
    manager = CheckpointManager(Config(), CLASS_NAMES, Step(False), DATA)
    found = [
        manager.update_best({} if value is None else {"mAP": value}, size)
        for value, size in validations
    ]
    assert found == expected
    assert manager.best_mAP == best
    assert manager.best_size == max(size for _, size in validations)


class Clock:
    """A clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("step", "save"), [(0.5, 1.0), (70.0, 10.0), (140.0, 5.0), (2.0, 100.0)])
def test_slow_steps_and_slow_saves_lose_five_minutes_at_most(step, save):
    timer = SaveTimer(clock := Clock())
    worst, safe_at = 0.0, clock.now
    for _ in range(2000):
        clock.now += step
        timer.done("step")
        if timer.is_due("step"):
            began = clock.now
            clock.now += save
            timer.done("save")
            worst, safe_at = max(worst, clock.now - safe_at), began  # a kill just before the end
        worst = max(worst, clock.now - safe_at)
    # The first save takes longer than was known; the others are planned for.
    assert min(200, MAX_SECONDS_LOST - step - save) <= worst <= MAX_SECONDS_LOST + save


def test_saves_are_no_more_than_needed():
    timer = SaveTimer(clock := Clock())
    count = 0
    for _ in range(3600):
        clock.now += 1.0
        timer.done("step")
        if timer.is_due("step"):
            count += 1
            timer.done("save")
    assert count == 12  # an hour


@pytest.mark.parametrize(
    ("validation", "steps", "is_due"), [(200.0, 120, True), (20.0, 260, False)]
)
def test_a_validation_is_expected_to_take_as_long_as_before(validation, steps, is_due):
    timer = SaveTimer(clock := Clock())
    for _ in range(23):
        clock.now += 10.0
        timer.done("step")
    assert not timer.is_due("validation")  # a minute is expected before one was measured
    clock.now += validation
    timer.done("validation")
    timer.done("save")
    for _ in range(steps // 10):
        clock.now += 10.0
        timer.done("step")
    assert timer.is_due("validation") is is_due and not timer.is_due("step")


def test_the_best_epoch_is_the_last_that_was_no_worse(tmp_path):
    manager, _ = resumed(tmp_path, best_epoch=4, epoch=6)
    assert manager.best_epoch == 4
    epochs = []
    for done, mean in enumerate((0.4, 0.6, 0.6, 0.5), start=6):
        manager.epochs_done = done
        manager.update_best({"mAP": mean}, 416)
        epochs.append(manager.best_epoch)
    assert epochs == [4, 8, 9, 9]
