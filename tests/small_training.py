"""Trainings that take seconds, and what they leave in their logs."""

import io
from pathlib import Path

import keras
import tensorflow as tf

from yolov3.configs import Config
from yolov3.runs.event_files import LOG_PREFIX
from yolov3.runs.run_folders import new_run
from yolov3.runs.training_progress import TrainingProgress
from yolov3.training import Outcome, Training

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
    """Build a training whose messages go to `training.stream`."""
    keras.utils.set_random_seed(config.seed)
    training = Training(config, records, list(test_records), NAMES)
    training.stream = io.StringIO()
    training.journal.progress = TrainingProgress(training.stream)
    return training


def fit(training: Training) -> Outcome:
    """Train to the end of a new run."""
    return training.fit(new_run(training.config))


def thin_network(net, image):
    """Build, in place of `yolov3.yolov3._tiny`, a network of three thin convolutions.

    The loop, the checkpoints and the log do not depend on the network, and its graph is built in a
    third of the time.
    """
    x = keras.layers.MaxPooling2D(8, dtype=net.dtype)(net.conv(image, 8, 3, strides=2))
    fine = net.conv(x, 8, 3)
    coarse = net.conv(keras.layers.MaxPooling2D(2, dtype=net.dtype)(fine), 8, 3)
    return [net.raw_map(fine), net.raw_map(coarse)]


def events_of(folder: Path) -> list[tuple[str, int, object]]:
    """Return all (tag, step, value) that the event files of a log hold, sorted.

    The files are read as they are: TensorBoard would drop what is there twice.
    """
    events = []
    for path in Path(folder).glob(f"{LOG_PREFIX}*"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                events.append((value.tag, event.step, tf.make_ndarray(value.tensor).tolist()))
    return sorted(events, key=lambda event: event[:2])


def scalars_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the scalars of a log: {tag: [(step, value)]}, steps rising."""
    scalars = {}
    for tag, step, value in events_of(folder):
        if isinstance(value, int | float):
            scalars.setdefault(tag, []).append((step, value))
    return scalars
