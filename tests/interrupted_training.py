"""A short training that may be interrupted, resumed, and compared with one that was not."""

import numpy as np
from small_training import after_each, config_in, events_of, fit, training_of

from yolov3.checkpoints import find_checkpoint
from yolov3.runs import start
from yolov3.runs.run_folders import resumed_run
from yolov3.training import Outcome
from yolov3.weights import state_dict

PER_EPOCH, TOTAL = 3, 9  # steps
CHANGES = {"train_epochs": 3, "augment_flip": 0.5, "augment_color": 0.3, "augment_translate": 0.2}


def prepare(records, folder, **changes):
    """Build a training of three epochs of three steps, the last of which crosses two passes."""
    return training_of(config_in(folder, **CHANGES | changes), records + records[:3], records)


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
        "log": [event for event in events_of(training.run.log) if event[0] != "config"],
        "kept": (manager.metrics, manager.best_mAP, manager.best_size),
        "folders": sorted(path.name for path in training.run.checkpoints.glob("*-*")),
        "run": training.run,
    }


def assert_same(end, expected):
    """Compare how two runs ended, bit for bit."""
    assert end["variables"].keys() == expected["variables"].keys()
    for name, value in end["variables"].items():
        np.testing.assert_array_equal(value, expected["variables"][name], err_msg=name)
    assert end["variables"]["step"] == TOTAL
    for name in ("log", "kept", "folders"):
        assert end[name] == expected[name], name


def die_at(step, die):
    """Have `die()` called when a step was logged, within a `with` block."""
    return after_each("log_step", lambda number, *_: die() if number == step else None)
