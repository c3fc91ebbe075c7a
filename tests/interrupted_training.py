"""A short training that may be disturbed, gone on with, and compared with one that was not."""

import numpy as np
from small_training import config_in, events_of, fit, training_of

from yolov3.runs.run_folders import resumed_run
from yolov3.training import Outcome
from yolov3.weights.by_name import state_dict
from yolov3.weights.checkpoint_search import find_checkpoint

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
    """Go on with the run in a folder to its end; return the training and where it began."""
    training = prepare(records, folder, **changes)
    last = find_checkpoint(training.config.train_checkpoints_folder, "last")
    training.resume(last)
    assert training.fit(resumed_run(training.config, last)) is Outcome.FINISHED
    return training, last


def final_state(training) -> dict:
    """Return all that a run leaves: variables, log, what validation kept, checkpoints."""
    keeper = training.keeper
    return {
        "variables": state_dict(training.learner.variables()),
        "log": [event for event in events_of(training.run.log) if event[0] != "config"],
        "kept": (keeper.metrics, keeper.best, keeper.best_size),
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


def die_at(training, step, die):
    """Have `die()` called when a step was noted."""
    note = training.journal.step

    def note_and_die(number, *rest):
        note(number, *rest)
        if number == step:
            die()

    training.journal.step = note_and_die
