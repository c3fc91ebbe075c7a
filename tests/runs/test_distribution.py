"""Two devices learn what one learns; batches are shared equally, and come back whole."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from perfect_network import SETTINGS, SIZE, dense_record, perfect_network

from yolov3 import validation
from yolov3.configs import Config
from yolov3.runs import distribution
from yolov3.runs.distribution import SharedValidator, replicas_for

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

DEVICES = ["CPU:0", "CPU:1"]
networks._tiny = thin_network

def batches_of(batch):
    whole = tf.data.Dataset.from_tensor_slices(batch)
    return lambda share: whole.batch(len(batch[0]) // share.replicas)
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
        [shared] = distribute_batches(strategy, batches_of(batch))
        for part, all_of_it in zip(shared, batch):
            np.testing.assert_array_equal(gather(strategy, part), all_of_it)
        metrics.append(train_step(*shared))
    for variable in train_step.model.variables:
        first, second = strategy.experimental_local_results(variable.value)
        np.testing.assert_array_equal(first, second, err_msg=variable.path)
    return state_dict(train_step.variables())

metrics = []
train_step = build()
keras.utils.set_random_seed(0)
alone = TrainStep(config, 10, 5, "float32")
halves = [[tf.constant(part[half]) for part in batch] for half in (slice(0, 2), slice(2, 4))]
after = steps(train_step, 1)
losses, gradients, statistics, initial = [], [], [], state_dict(alone.model)
for half in halves:
    assign_by_name({w.path: w for w in alone.model.weights}, initial)
    found = alone._gradients(*half)
    losses.append(found[0]["total"])
    gradients.append(found[1])
    statistics.append({w.path: w.numpy() for w in alone.model.weights if "moving" in w.name})
assert metrics[0]["finite"] and np.isclose(metrics[0]["total"], np.mean(losses), rtol=1e-4)
expected = [(one + two) / 2 for one, two in zip(*gradients)]
norm = np.sqrt(sum((gradient.numpy()**2).sum() for gradient in expected))
assert np.isclose(metrics[0]["gradient_norm"], norm, rtol=1e-4)
for momentum, gradient in zip(train_step.optimizer._momentums, expected):
    scale = abs(gradient.numpy()).max()
    np.testing.assert_allclose(momentum, 0.1 * gradient, atol=1e-4 * scale, err_msg=momentum.path)
for name, one in statistics[0].items():  # the mean of both devices, and the same on both
    mean = (one + statistics[1][name]) / 2
    np.testing.assert_allclose(after[f"model/{name}"], mean, rtol=1e-4, atol=1e-6, err_msg=name)
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
[shared] = distribute_batches(strategy, batches_of(batch))
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


@pytest.mark.parametrize("script", [DIFFERENT_IMAGES, ONE_OVERFLOWS], ids=["different", "overflow"])
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


class TakingTurns:
    """The workers of a cluster, one after another: the chief, who hears the others, is the last."""

    def __init__(self, count):
        self.count, self.said = count, {}

    def to_chief(self, data):
        self.said[self.index] = data
        return [] if self.index else [self.said[index] for index in range(self.count)]

    def from_chief(self, value):
        return value


@pytest.mark.parametrize("count", [2, 4])
def test_workers_measure_what_one_measures(count, tmp_path, monkeypatch):
    config, record = Config(**SETTINGS), dense_record(tmp_path, (3, 2))
    lost = replace(record, image_path=str(tmp_path / "lost.png"))
    network = perfect_network(record, 2, config.anchors)
    monkeypatch.setattr(validation, "fold", lambda *_: network)
    for module in (validation, distribution):
        monkeypatch.setattr(module, "BATCH_SIZE", 1)  # of three batches, a fourth worker has none
    arguments = config, [record, lost, record], ["nut", "washer"], "float32"
    alone, workers = validation.Validator(*arguments), TakingTurns(count)
    expected = alone(None, SIZE)
    for index in reversed(range(count)):
        workers.index, shared = index, SharedValidator(workers, *arguments)
        found = shared(None, SIZE)
    assert found == expected and expected["mAP"] > 0
    assert shared.unreadable == alone.unreadable == [lost.image_path]
