"""Trainings that take seconds, and what they leave in their logs."""

import csv
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from yolov3.annotations import Record
from yolov3.configs import Config
from yolov3.metrics import match_detections, score_curves
from yolov3.runs import start
from yolov3.runs.run_folders import new_run
from yolov3.runs.run_logger import RESULTS, RunLogger
from yolov3.runs.start import Training
from yolov3.training import Outcome

NAMES = list("0123456789")


def config_in(folder: Path, **changes) -> Config:
    """Return a configuration that trains YOLOv3-tiny for a few seconds and writes to `folder`."""
    settings = {
        "train_logdir": str(folder / "log"),
        "train_checkpoints_folder": str(folder / "checkpoints"),
        "test_annot_path": "",
        "tiny": True,
        "precision": "float32",
        "train_input_size": 32,
        "train_input_scales": (1.0,),
        "train_epochs": 2,
        "train_batch_size": 4,
    }
    return Config(**settings | changes)


def training_of(config: Config, records, test_records=()) -> Training:
    """Build a training on records, without the checks of `prepare`."""
    return start.build(config, records, list(test_records), NAMES)


def fit(training: Training, run=None) -> Outcome:
    """Train to the end of a run, a new one unless given, which is then `training.run`."""
    training.run = run or new_run(training.config)
    return start.fit(training, training.run)


def found_nothing(unreadable=()) -> Mock:
    """Return a `Validator` that has found nothing in an image with two objects."""
    record = Record("a.png", np.array([[1, 1, 5, 5], [2, 2, 7, 7]]), np.array([0, 3]), 1)
    matches = match_detections([record], [(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))], 10)
    found = {"matches": matches, "curves": score_curves(matches), "threshold": 0.5}
    examples = [np.zeros((8, 8, 3), np.uint8)]
    return Mock(**found, examples=examples, class_names=NAMES, unreadable=list(unreadable))


@contextmanager
def after_each(method: str, call):
    """Within this, have `call(*args)` called after each call of a method of `RunLogger`."""
    with pytest.MonkeyPatch.context() as patch:
        original = getattr(RunLogger, method)

        def call_both(logger, *args):
            original(logger, *args)
            call(*args)

        patch.setattr(RunLogger, method, call_both)
        yield


def thin_network(net, image):
    """Build, in place of `yolov3.yolov3._tiny`, a network of three thin convolutions.

    The loop, the checkpoints and the log do not depend on the network, and its graph is built in a
    third of the time.
    """
    x = keras.layers.MaxPooling2D(8, dtype=net.dtype)(net.conv(image, 8, 3, strides=2))
    fine = net.conv(x, 8, 3)
    coarse = net.conv(keras.layers.MaxPooling2D(2, dtype=net.dtype)(fine), 8, 3)
    return [net.raw_map(fine), net.raw_map(coarse)]


def read_log(folder: Path) -> EventAccumulator:
    """Read a log as TensorBoard does."""
    return EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


# Keras numbers the layers of the graph by process, and each process that ends a run says so.
PER_PROCESS = ("__run_graph__", "_hparams_/session_end_info")


def events_of(folder: Path) -> list[tuple[str, int, object]]:
    """Return all (tag, step, value) of a log as TensorBoard reads them, sorted."""
    log = read_log(folder)
    events = [
        (tag, event.step, tf.make_ndarray(event.tensor_proto).tolist())
        for tag in log.Tags()["tensors"]
        for event in log.Tensors(tag)
    ]
    return sorted(events, key=lambda event: event[:2])


def results_of(folder: Path) -> list[dict[str, str]]:
    """Return the lines of results.csv, which has minutes, without them."""
    with (folder / RESULTS).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert all(float(row.pop("minutes")) >= 0 for row in rows)
    return rows


def scalars_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the scalars of a log: {tag: [(step, value)]}, steps rising."""
    scalars = {}
    for tag, step, value in events_of(folder):
        if isinstance(value, int | float):
            scalars.setdefault(tag, []).append((step, value))
    return scalars
