"""The training step: bad batches leave no trace, and the learning rate is the one that is said."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_training import config_in, thin_network

from yolov3 import train_step as train_step_module
from yolov3 import yolov3 as networks
from yolov3.train_step import TrainStep
from yolov3.weights import assign_by_name, state_dict

NAN, HUGE = 7, 8  # images of one of these greys alone become NaN or so bright that it overflows
COUNTERS = {"step", "skipped_steps", "skipped_in_a_row"}


def batch(grey=None):
    """Return two images with a box each; of noise, or of one grey."""
    noise = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    images = noise if grey is None else np.full_like(noise, grey)
    return images, np.float32([[[4, 4, 20, 24]], [[2, 8, 30, 30]]]), np.int32([[3], [7]])


def build(precision, folder):
    keras.utils.set_random_seed(0)
    config = config_in(folder, train_warmup_epochs=0.5)
    return TrainStep(config, 10, steps_per_epoch=10, precision=precision)


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """Build a step per precision, with the poison in its graph, and reset it for each test."""
    built = {}

    def poisoned(images):
        for grey, value in ((NAN, np.nan), (HUGE, 1e30)):
            is_poison = tf.reduce_all(images == grey)
            images = tf.where(is_poison, value, tf.cast(images, tf.float32))
        return images / 255.0

    def get(precision):
        if precision not in built:
            train_step = build(precision, tmp_path_factory.mktemp(precision))
            built[precision] = train_step, state_dict(train_step.variables())
        train_step, initial = built[precision]
        assign_by_name(train_step.variables(), initial)
        return train_step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "_tiny", thin_network)
        patch.setattr(train_step_module, "to_float", poisoned)
        yield get


def changed(before, after) -> set[str]:
    return {name for name in before if not np.array_equal(before[name], after[name])}


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("grey", [NAN, HUGE], ids=["nan", "overflow"])
def test_a_bad_batch_leaves_no_trace_but_the_counts(steps, precision, grey):
    train_step = steps(precision)
    for _ in range(3):
        assert train_step(*batch())["finite"]
    before = state_dict(train_step.variables())
    metrics = train_step(*batch(grey))
    assert not metrics["finite"]
    assert (int(metrics["skipped_steps"]), int(metrics["skipped_in_a_row"])) == (1, 1)
    after = state_dict(train_step.variables())
    [iteration] = [name for name in before if name.endswith("iteration") and after[name] == 4]
    assert changed(before, after) - {iteration} == COUNTERS
    assert train_step(*batch())["finite"]
    later = state_dict(train_step.variables())
    assert "model/conv_0/kernel" in changed(after, later)
    assert all(np.isfinite(value).all() for value in later.values())


def test_skipped_steps_are_counted_in_a_row_and_in_all(steps):
    train_step = steps("float32")
    counts = []
    for grey in (NAN, NAN, None, NAN, None):
        metrics = train_step(*batch(grey))
        counts.append((int(metrics["skipped_steps"]), int(metrics["skipped_in_a_row"])))
    assert counts == [(1, 1), (2, 2), (2, 0), (3, 1), (3, 0)]


def test_the_learning_rate_that_is_said_is_the_one_that_is_used(steps):
    train_step = steps("float32")
    for number, grey in enumerate((None, NAN, NAN, None, None)):
        assert int(train_step.optimizer.iterations) == int(train_step.step_count) == number
        used = float(train_step.optimizer.learning_rate)  # of the schedule, by its own count
        said = float(train_step(*batch(grey))["lr"])
        assert used == said == pytest.approx(1e-3 * number / 5)  # a warm-up of five steps


def test_a_gradient_that_overflows_only_because_it_is_scaled_is_no_bad_step(steps):
    train_step = steps("float16")
    train_step(*batch())  # whose learning rate is 0
    train_step.optimizer.dynamic_scale.assign(2.0**60)
    before = state_dict(train_step.variables())
    metrics = train_step(*batch())
    assert metrics["finite"] and int(metrics["skipped_steps"]) == 0
    assert not np.isfinite(metrics["gradient_norm"])
    assert float(train_step.optimizer.dynamic_scale) == 2.0**59
    after = state_dict(train_step.variables())
    assert "model/conv_0/kernel" not in changed(before, after)
    assert int(train_step.optimizer.iterations) == int(train_step.step_count) == 2


def test_without_decay_the_average_is_the_weights_of_each_step(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "_tiny", thin_network)
    config = config_in(tmp_path, train_warmup_epochs=0, train_average_decay=0.0)
    train_step = TrainStep(config, 10, steps_per_epoch=10, precision="float32")
    for _ in range(2):
        train_step(*batch())
        weights = zip(train_step.ema.variables, train_step.model.variables, strict=True)
        assert all(np.array_equal(mean, weight) for mean, weight in weights)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_gradient_norm_is_that_of_the_unscaled_loss(steps, precision):
    norms = [float(steps(name)(*batch())["gradient_norm"]) for name in ("float32", precision)]
    assert norms[1] == pytest.approx(norms[0], rel=0.05) and norms[0] > 0
