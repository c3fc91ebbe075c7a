"""Two devices learn what one learns; batches are shared equally, and come back whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from yolov3.runs.distribution import replicas_for

PREPARE = """
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from small_training import thin_network
from yolov3 import yolov3 as networks
from yolov3.configs import Config
from yolov3.runs.distribution import gather, distribute_batches
from yolov3.train_step import TrainStep
from yolov3.weights import assign_by_name, state_dict
from yolov3.yolov3 import BN_MOMENTUM

DEVICES = ["CPU:0", "CPU:1"]
networks._tiny = thin_network
"""

ONE_LEARNS_THE_SAME = """
VALUES = {"bn_0": 2 * 16 * 16, "bn_1": 2 * 2 * 2, "bn_2": 2}  # of a channel on one of two
config = Config(tiny=True, precision="float32", train_warmup_epochs=0)
rng = np.random.default_rng(0)
half = (
    rng.integers(0, 256, (2, 32, 32, 3), np.uint8),
    np.float32([[[4, 4, 20, 30]], [[10, 2, 30, 30]]]),
    np.int32([[3], [7]]),
)  # each device gets these two images: batch normalisation is done per device
batch = [np.concatenate([part, part]) for part in half]
ends = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(DEVICES)):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        train_step = TrainStep(config, 10, 5, "float32")
    before = state_dict(train_step.variables())
    batches = tf.data.Dataset.from_tensor_slices(tuple(batch)).batch(4)
    [shared] = distribute_batches(strategy, batches)
    for part, whole in zip(shared, batch):
        np.testing.assert_array_equal(gather(strategy, part), whole)
    metrics = train_step(*shared)
    assert metrics["finite"]
    for variable in train_step.model.variables:
        one, *others = strategy.experimental_local_results(variable.value)
        assert len(others) == strategy.num_replicas_in_sync - 1
        assert all(np.array_equal(one, other) for other in others)
    after = state_dict(train_step.variables())
    ends.append((before, after, {name: float(value) for name, value in metrics.items()}))
(before, one, metrics), (same, two, others) = ends
for name in metrics:
    assert np.isclose(metrics[name], others[name], rtol=1e-3), name
for name in before:
    np.testing.assert_array_equal(before[name], same[name], err_msg=name)
    if "momentum" in name:  # a tenth of the gradient after one step
        scale = abs(one[name]).max()
        np.testing.assert_allclose(two[name], one[name], atol=1e-4 * scale, err_msg=name)
    elif name.startswith("model") and name.endswith("moving_variance"):
        # It is unbiased, and one device had twice the values of each of the two.
        values = VALUES[name.split("/")[1]]
        ratio = (values / (values - 1)) / (2 * values / (2 * values - 1))
        kept = BN_MOMENTUM * before[name]
        expected = kept + ratio * (one[name] - kept)
        np.testing.assert_allclose(two[name], expected, rtol=1e-5, err_msg=name)
    elif name.startswith(("model", "ema")) and not name.endswith("moving_variance"):
        # Adam's first step has the gradient's sign: of hardly any size is rounding's own.
        moved, differs = abs(one[name] - before[name]), abs(two[name] - one[name])
        assert np.mean(differs) <= 1e-3 * np.mean(moved), name
moved = abs(one["model/conv_0/kernel"] - before["model/conv_0/kernel"])
assert np.isclose(np.median(moved), config.train_lr_init, rtol=0.01)
assert int(two["step"]) == 1
print("same")
"""


DIFFERENT_IMAGES = """
config = Config(tiny=True, precision="float32", train_warmup_epochs=0)
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (4, 32, 32, 3), np.uint8)
images //= np.uint8([1, 2, 4, 9]).reshape(4, 1, 1, 1)  # each replica has other statistics
boxes = np.float32([[[4, 4, 20, 30]], [[10, 2, 30, 30]], [[1, 1, 9, 9]], [[0, 0, 0, 0]]])
batch = images, boxes, np.int32([[3], [7], [0], [0]])
strategy = tf.distribute.MirroredStrategy(DEVICES)

def build():
    keras.utils.set_random_seed(0)
    with strategy.scope():
        return TrainStep(config, 10, 5, "float32")

def steps(train_step, number):
    for _ in range(number):
        [shared] = distribute_batches(strategy, tf.data.Dataset.from_tensor_slices(batch).batch(4))
        assert train_step(*shared)["finite"]
    return state_dict(train_step.variables())

train_step = build()
keras.utils.set_random_seed(0)
alone = TrainStep(config, 10, 5, "float32")
halves = [[tf.constant(part[half]) for part in batch] for half in (slice(0, 2), slice(2, 4))]
after = steps(train_step, 1)
gradients = []
for half in halves:  # the first also moves the statistics of `alone` as it does those of replica 0
    gradients.append(alone._gradients(*half)[1])
    if len(gradients) == 1:
        statistics = {w.path: w.numpy() for w in alone.model.weights if "moving" in w.name}
expected = [(one + two) / 2 for one, two in zip(*gradients)]
for momentum, gradient in zip(train_step.optimizer._momentums, expected):
    scale = abs(gradient.numpy()).max()
    np.testing.assert_allclose(momentum, 0.1 * gradient, atol=1e-4 * scale, err_msg=momentum.path)
for name, value in statistics.items():
    np.testing.assert_allclose(after[f"model/{name}"], value, rtol=1e-4, atol=1e-6, err_msg=name)
resumed = build()
assign_by_name(resumed.variables(), after)
one, two = steps(train_step, 2), steps(resumed, 2)
for name in one:
    np.testing.assert_array_equal(one[name], two[name], err_msg=name)
print("same")
"""


ONE_OVERFLOWS = """
config = Config(tiny=True, precision="float16", train_warmup_epochs=0)
quiet = np.full((1, 32, 32, 3), 128, np.uint8), np.zeros((1, 1, 4), np.float32), np.int32([[0]])
noise = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
loud = noise, np.float32([[[4, 4, 20, 30]]]), np.int32([[3]])
keras.utils.set_random_seed(0)
strategy = tf.distribute.MirroredStrategy(DEVICES)
with strategy.scope():
    train_step = TrainStep(config, 10, 5, "float16")
alone = TrainStep(config, 10, 5, "float16")
for exponent in range(8, 60):  # the least scale with which the second image alone overflows
    alone.optimizer.dynamic_scale.assign(2.0**exponent)
    norms = [float(alone._gradients(*map(tf.constant, part))[0]["gradient_norm"])
             for part in (quiet, loud)]
    if not np.isfinite(norms[1]):
        break
assert np.isfinite(norms[0]) and not np.isfinite(norms[1]), norms
train_step.optimizer.dynamic_scale.assign(2.0 ** (exponent + 1))  # of which each device has half
before = state_dict(train_step.variables())
batch = tuple(np.concatenate(parts) for parts in zip(quiet, loud))
[shared] = distribute_batches(strategy, tf.data.Dataset.from_tensor_slices(batch).batch(2))
metrics = train_step(*shared)
assert metrics["finite"] and not np.isfinite(metrics["gradient_norm"])
assert int(metrics["skipped_steps"]) == 0
after = state_dict(train_step.variables())
for name in before:
    if name.startswith(("model", "ema")) or "momentum" in name or "velocity" in name:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
assert after["optimizer/loss_scale/dynamic_scale"] == 2.0**exponent
print("same")
"""


@pytest.mark.parametrize(
    "script",
    [ONE_LEARNS_THE_SAME, DIFFERENT_IMAGES, ONE_OVERFLOWS],
    ids=["same", "different", "overflow"],
)
def test_two_devices_learn_what_one_learns(script):
    tests = Path(__file__).resolve().parents[1]
    path = f"{tests}{os.pathsep}{tests.parent}"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", PREPARE + script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "same"


@pytest.mark.parametrize(
    ("batch_size", "available", "expected"),
    [(4, 0, 1), (4, 1, 1), (4, 2, 2), (4, 3, 2), (4, 8, 4), (1, 2, 1), (6, 4, 3), (7, 4, 1)],
)
def test_as_many_devices_are_used_as_can_share_a_batch_equally(batch_size, available, expected):
    assert replicas_for(batch_size, available) == expected
