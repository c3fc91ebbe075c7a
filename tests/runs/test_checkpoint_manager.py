"""Which validation is the best so far."""

import numpy as np
import pytest
import tensorflow as tf
from checkpoint_samples import CLASS_NAMES, STATE, WEIGHTS, save

from yolov3.checkpoints import open_checkpoint, save_checkpoint
from yolov3.configs import Config
from yolov3.runs.checkpoint_manager import CheckpointManager

NAN = float("nan")
DATA = {"trained_on": "1f", "validated_on": "2e"}


class Learned:
    """What a keeper needs to know of a learner."""

    def __init__(self, scales_loss):
        self.scales_loss = scales_loss

    def variables(self):
        scale = {"optimizer/loss_scale/dynamic_scale": tf.Variable(1.0)} if self.scales_loss else {}
        return {"step": tf.Variable(0, dtype=tf.int64), **scale}


def resumed(folder, before, now, was_scaled=False, scales_loss=False, data=DATA):
    """Return a keeper that goes on from a checkpoint of AP 0.5 at 416 px, with other settings."""
    state = {**STATE, "step": 7, "epoch": 1, "metrics": {"AP": 0.4}, "input_size": 416, **DATA}
    values = {name: value.numpy() for name, value in Learned(was_scaled).variables().items()}
    resume = {name: np.asarray(value) for name, value in values.items()}
    config = Config(tiny=True, **before)
    folder = save_checkpoint(folder, "last", config, state, WEIGHTS, resume)
    keeper = CheckpointManager(Config(tiny=True, **now), CLASS_NAMES, Learned(scales_loss), data)
    keeper.resume(open_checkpoint(folder))
    return keeper


@pytest.mark.parametrize(
    ("change", "best"),
    [
        ({"seed": 8, "test_score_threshold": 0.5}, (0.5, 416)),
        ({"test_annot_path": "harder.txt"}, (-1.0, 0)),
        ({"test_iou_threshold": 0.6}, (-1.0, 0)),
    ],
)
def test_the_best_is_sought_anew_where_it_is_validated_in_another_way(tmp_path, change, best):
    keeper = resumed(tmp_path, {}, change)
    assert (keeper.best, keeper.best_size) == best


@pytest.mark.parametrize(
    ("change", "best"), [({"trained_on": "3d"}, (0.5, 416)), ({"validated_on": "3d"}, (-1.0, 0))]
)
def test_other_data_are_named_and_the_best_is_sought_anew_on_those(tmp_path, change, best):
    keeper = resumed(tmp_path, {}, {}, data=DATA | change)
    last = open_checkpoint(next(tmp_path.iterdir()))
    assert keeper.changed_data(last) == list(change)
    assert (keeper.best, keeper.best_size) == best


def test_a_checkpoint_that_does_not_say_its_data_has_none_changed(tmp_path):
    folder = save(tmp_path, "last", 7)  # without the fields, as versions before wrote it
    keeper = CheckpointManager(Config(), CLASS_NAMES, Learned(False), DATA)
    assert keeper.changed_data(open_checkpoint(folder)) == []


@pytest.mark.parametrize(
    ("was_scaled", "expected"),
    [
        (True, "precision: expected float16, as it was trained; received another"),
        (False, "precision: expected another than float16, as it was trained; received float16"),
    ],
)
def test_float16_is_not_resumed_in_another_precision_nor_the_reverse(
    tmp_path, was_scaled, expected
):
    with pytest.raises(ValueError, match=f"^{expected}$"):
        resumed(tmp_path, {}, {}, was_scaled, not was_scaled)
    resumed(tmp_path, {}, {}, was_scaled, was_scaled)


@pytest.mark.parametrize(
    ("validations", "expected", "best"),
    [
        ([(0.3, 32), (0.2, 32), (0.4, 32)], [True, False, True], 0.4),
        ([(0.3, 32), (0.3, 32)], [True, True], 0.3),  # of equals the newer one
        ([(0.9, 32), (0.5, 64), (0.4, 64)], [True, True, False], 0.5),  # a larger size begins anew
        ([(0.5, 64), (0.9, 32), (0.6, 64)], [True, False, True], 0.6),  # a smaller one never wins
        ([(NAN, 32), (NAN, 32)], [True, True], -1.0),  # no image has a box
        ([(0.3, 32), (NAN, 32), (0.1, 32)], [True, True, True], 0.1),
        ([(None, 32), (None, 32)], [True, True], -1.0),  # no validation
    ],
)
def test_the_best_is_the_highest_map_of_the_largest_size(validations, expected, best):
    keeper = CheckpointManager(None, [], None, {})
    metrics = [{} if value is None else {"AP": value} for value, _ in validations]
    sizes = [size for _, size in validations]
    found = [keeper.update_best(*one) for one in zip(metrics, sizes, strict=True)]
    assert found == expected
    assert (keeper.best, keeper.best_size) == (best, max(sizes))
