"""Training: it learns, resumes exactly, survives bad batches, and logs what it did."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from yolov3 import learner as learner_module
from yolov3 import training as training_module
from yolov3.annotations import read_annotations
from yolov3.checkpoints import find_checkpoint
from yolov3.configs import Config
from yolov3.detection import Detector
from yolov3.evaluation import evaluate
from yolov3.runs import new_run, resumed_run
from yolov3.training import MOST_BAD_STEPS, Outcome, Training
from yolov3.training_progress import TrainingProgress, format_seconds
from yolov3.weights import to_arrays

NAMES = list("0123456789")
REPEATS = 30  # of the eight scenes in an epoch: few epochs, as each writes two checkpoints
POISON = 7  # a picture of this grey alone becomes NaN


def config_in(folder: Path, **changes) -> Config:
    """Return a configuration that trains YOLOv3-tiny for a few seconds and writes to `folder`."""
    settings = {
        "train_logdir": str(folder / "log"),
        "train_checkpoints_folder": str(folder / "checkpoints"),
        "test_annot_path": "",
        "tiny": True,
        "precision": "float32",
        "train_input_size": 64,
        "train_input_scales": (1.0,),
        "train_epochs": 2,
    }
    return Config(**settings | changes)


def training_of(config: Config, records, test_records=()) -> Training:
    """Build a training whose messages go to `training.stream`."""
    keras.utils.set_random_seed(config.seed)
    training = Training(config, records, list(test_records), NAMES)
    training.stream = io.StringIO()
    training.progress = TrainingProgress(training.stream)
    return training


def fit(training: Training) -> Outcome:
    return training.fit(new_run(training.config))


def scalars_of(run) -> dict[str, list]:
    """Return the scalars of a log: {tag: [(step, value)]}."""
    log = EventAccumulator(str(run.log), size_guidance={"tensors": 0}).Reload()
    scalars = {}
    for tag in set(log.Tags()["tensors"]) - {"config"}:
        events = log.Tensors(tag)
        scalars[tag] = [(e.step, float(tf.make_ndarray(e.tensor_proto))) for e in events]
    return scalars


@pytest.fixture(scope="module")
def records(digit_scenes):
    return read_annotations(digit_scenes, len(NAMES))


@pytest.fixture(scope="module")
def trained(records, tmp_path_factory):
    """Train on the eight scenes until they are known by heart."""
    config = config_in(
        tmp_path_factory.mktemp("trained"), train_input_size=128, train_warmup_epochs=0.2
    )
    training = training_of(config, records * REPEATS, records)
    assert fit(training) is Outcome.FINISHED
    return training


def test_it_learns_the_scenes_it_is_trained_on(trained, records):
    result = evaluate(Detector(trained.run.checkpoints, score_threshold=0.001), records)
    assert result["AP50"] >= 0.9
    assert result["images"] == len(records)


def test_losses_fall(trained):
    scalars = scalars_of(trained.run)
    for name in ("total", "giou", "conf", "prob"):
        losses = [value for _, value in scalars[f"loss/{name}_loss"]]
        assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:10]), name
        first, last = [value for _, value in scalars[f"validate_loss/{name}_val"]]
        assert last < first, name


def test_log_has_the_tags_of_the_tutorial_at_their_steps(trained):
    scalars = scalars_of(trained.run)
    per_epoch, total = trained.steps_per_epoch, trained.total_steps
    assert (per_epoch, total) == (60, 120)
    for tag in ["lr", *(f"loss/{name}_loss" for name in ("total", "giou", "conf", "prob"))]:
        assert [step for step, _ in scalars[tag]] == list(range(1, total + 1)), tag
    epoch_tags = [f"validate_loss/{name}_val" for name in ("total", "giou", "conf", "prob")]
    for tag in [*epoch_tags, "mAP/AP50", "mAP/AP75", "mAP/AP"]:
        assert [step for step, _ in scalars[tag]] == [per_epoch, total], tag
    rates = [value for _, value in scalars["lr"]]
    assert rates[0] == 0.0 and rates[12] == pytest.approx(1e-3)  # warm-up: 0.2 epochs
    assert rates[-1] == pytest.approx(1e-5, rel=0.1)
    parts = [scalars[f"loss/{name}_loss"][5][1] for name in ("giou", "conf", "prob")]
    assert scalars["loss/total_loss"][5][1] == pytest.approx(sum(parts), rel=1e-5)


def test_best_checkpoint_has_the_metrics_of_its_epoch(trained):
    best = find_checkpoint(trained.run.checkpoints, "best")
    logged = dict(scalars_of(trained.run)["mAP/AP"])
    assert best.metrics["AP"] == pytest.approx(max(logged.values()))
    assert logged[best.step] == pytest.approx(best.metrics["AP"])
    assert "best so far" in trained.stream.getvalue()


def stop_after(training: Training, step: int) -> None:
    """Have the process send itself Ctrl-C when a step is done."""
    show = training.progress.step

    def show_and_stop(*args):
        show(*args)
        if training.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    training.progress.step = show_and_stop


def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(records, tmp_path):
    whole = training_of(config_in(tmp_path / "whole"), records + records[:3])  # 3 steps an epoch
    assert fit(whole) is Outcome.FINISHED

    config = config_in(tmp_path / "parts")
    stopped = training_of(config, records + records[:3])
    stop_after(stopped, step=4)  # in the second epoch
    assert fit(stopped) is Outcome.INTERRUPTED

    last = find_checkpoint(config.train_checkpoints_folder, "last")
    assert (last.step, last.epoch) == (4, 1)
    resumed = training_of(config, records + records[:3])
    resumed.resume(last)
    assert resumed.fit(resumed_run(config, last.path)) is Outcome.FINISHED

    assert resumed.step == whole.step == 6
    expected = to_arrays(whole.learner.variables())
    for name, value in to_arrays(resumed.learner.variables()).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    log = scalars_of(resumed.run)["loss/total_loss"]
    assert log == scalars_of(whole.run)["loss/total_loss"]


@pytest.fixture
def poison_steps(monkeypatch) -> set:
    """Return a set to put the numbers of steps (from 1) in whose pictures shall be NaN."""
    steps, make_batches, as_float = set(), training_module.training_batches, learner_module.to_float

    def poisoned_batches(*args):
        first = args[-1][0]
        for step, (images, *boxes) in enumerate(make_batches(*args), start=first + 1):
            yield (tf.fill(images.shape, np.uint8(POISON)) if step in steps else images, *boxes)

    def to_float_or_nan(images):
        return tf.where(tf.reduce_all(images == POISON), np.nan, as_float(images))

    monkeypatch.setattr(training_module, "training_batches", poisoned_batches)
    monkeypatch.setattr(learner_module, "to_float", to_float_or_nan)
    return steps


def test_a_bad_batch_is_reported_and_changes_no_weight(records, tmp_path, poison_steps):
    poison_steps.add(2)
    config = config_in(tmp_path, train_epochs=1, train_warmup_epochs=0)
    training = training_of(config, records + records[:3])
    snapshots = []
    take_step = training._take_step

    def take_step_and_copy(*args):
        take_step(*args)
        snapshots.append(to_arrays(training.learner.variables()))

    training._take_step = take_step_and_copy
    assert fit(training) is Outcome.FINISHED
    before, after, later = snapshots
    for name in before.keys() - {"step"}:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    assert [int(snapshot["step"]) for snapshot in snapshots] == [1, 2, 3]
    assert np.any(later["model/conv_0/kernel"] != after["model/conv_0/kernel"])
    assert all(np.isfinite(value).all() for value in later.values())
    lines = [line for line in training.stream.getvalue().splitlines() if "not finite" in line]
    assert lines == ["step 2: loss or gradient not finite; this step is skipped"]
    assert [step for step, _ in scalars_of(training.run)["loss/total_loss"]] == [1, 3]


def test_ten_bad_batches_in_a_row_end_the_run(records, tmp_path, poison_steps):
    poison_steps.update(range(2, 2 + MOST_BAD_STEPS))
    training = training_of(config_in(tmp_path, train_batch_size=1), records * 2)
    outcome = fit(training)
    assert outcome is Outcome.DIVERGED and outcome.value == 1
    assert training.step == 11
    message = training.stream.getvalue().splitlines()[-1]
    assert "up to step 11" in message and "--train-lr-init" in message


def test_nine_bad_batches_then_a_good_one_go_on(records, tmp_path, poison_steps):
    poison_steps.update({*range(1, 10), *range(11, 16)})
    config = config_in(tmp_path, train_batch_size=1, train_epochs=1)
    training = training_of(config, records * 2)
    assert fit(training) is Outcome.FINISHED
    assert training.stream.getvalue().count("not finite") == 14


def test_without_test_set_the_last_epoch_is_the_best(records, tmp_path):
    config = config_in(tmp_path, train_warmup_epochs=2)  # as long as the training
    training = training_of(config, records[:4])
    assert fit(training) is Outcome.FINISHED
    best, last = (find_checkpoint(training.run.checkpoints, kind) for kind in ("best", "last"))
    assert best.step == last.step == training.step == 2 and best.epoch == 1
    assert best.metrics == {} and best.best_AP == -1.0
    for name, value in best.weights().items():
        np.testing.assert_array_equal(value, last.weights()[name], err_msg=name)
        assert np.isfinite(value).all()
    scalars = scalars_of(training.run)
    assert not [tag for tag in scalars if tag.startswith(("validate_loss", "mAP"))]
    assert [value for _, value in scalars["lr"]] == pytest.approx([0.0, 5e-4])


TWO_DEVICES = """
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from yolov3.configs import Config
from yolov3.learner import Learner

config = Config(tiny=True, precision="float32", train_warmup_epochs=0)
rng = np.random.default_rng(0)
half = (
    rng.integers(0, 256, (2, 64, 64, 3), np.uint8),
    np.float32([[[4, 4, 30, 40]], [[20, 10, 60, 50]]]),
    np.int32([[3], [7]]),
)  # each device gets these two pictures: batch normalisation is done per device
batch = [np.concatenate([part, part]) for part in half]
ends = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        learner = Learner(config, 10, 5, "float32")
    data = tf.data.Dataset.from_tensor_slices(tuple(batch)).batch(4).repeat(2)
    for step in strategy.experimental_distribute_dataset(data):
        metrics = learner.step(*step)
    assert metrics["finite"]
    copies = [strategy.experimental_local_results(x.value) for x in learner.model.variables]
    for copy in copies:
        assert len(copy) == strategy.num_replicas_in_sync
        assert all(np.array_equal(copy[0], other) for other in copy)
    moved = float(tf.reduce_sum(abs(learner.average.variables[0] - learner.model.variables[0])))
    assert moved > 0
    ends.append({name: float(value) for name, value in metrics.items()})
one, two = ends  # of the second step, so the first update was the same, too
print(one, two)
for name in one:
    assert np.isclose(one[name], two[name], rtol=1e-3), (name, one[name], two[name])
print("same")
"""


def test_two_devices_learn_what_one_learns():
    repo = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES],
        cwd=repo,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "same"


LOSSES = {"total": 6.0, "giou": 1.0, "conf": 2.0, "prob": 3.0, "lr": 1e-3}


class Terminal(io.StringIO):
    """A stream that calls itself a terminal."""

    def isatty(self):
        return True


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self):
        return self.now


def test_progress_line_counts_pixels_for_the_time_left():
    clock, stream = Clock(), Terminal()
    progress = TrainingProgress(stream, clock)
    progress.start_epoch(0, 3, steps=4, batch_size=2, input_size=64)
    clock.now += 50.0  # builds the graph: says nothing of the rest
    progress.step(1, LOSSES, pixels_left=7 * 2 * 64**2)
    clock.now += 1.0
    progress.step(2, LOSSES, pixels_left=2 * 2 * 64**2 + 4 * 2 * 128**2)  # 2 small, 4 of 4 times
    line = stream.getvalue().split("\r")[-1]
    assert line == (
        "epoch 1/3 64 px [==========          ] 2/4  loss 6.00 (giou 1.00, conf 2.00, prob 3.00)"
        "  lr 1.0e-03  2.0 pictures/s  18 s left\x1b[K"
    )


def test_progress_is_rare_in_a_file_and_complete_at_the_end_of_an_epoch():
    clock, stream = Clock(), io.StringIO()
    progress = TrainingProgress(stream, clock)
    progress.start_epoch(1, 2, steps=40, batch_size=1, input_size=32)
    for done in range(1, 41):
        clock.now += 1.0
        progress.step(done, LOSSES, pixels_left=(40 - done) * 32**2)
    progress.message("validation")
    lines = stream.getvalue().splitlines()
    assert [line.split("] ")[1].split()[0] for line in lines[:-1]] == ["30/40", "40/40"]
    assert lines[0].endswith("1.0 pictures/s  10 s left") and lines[1].endswith("  0 s left")
    assert lines[-1] == "validation"


def test_a_message_ends_the_progress_line_of_a_terminal_and_stops_its_clock():
    clock, stream = Clock(), Terminal()
    progress = TrainingProgress(stream, clock)
    progress.start_epoch(0, 1, steps=3, batch_size=1, input_size=32)
    for done in (1, 2):
        clock.now += 2.0
        progress.step(done, LOSSES, pixels_left=0)
    clock.now += 500.0  # validation
    progress.message("validation")
    clock.now += 2.0
    progress.step(3, LOSSES, pixels_left=5 * 32**2)
    assert "\x1b[K\nvalidation\n\r" in stream.getvalue()
    assert stream.getvalue().endswith("0.5 pictures/s  10 s left\x1b[K")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert format_seconds(seconds) == text
