"""Fast layers and optimizer for training: each against Keras's, and the network."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from yolov3.kernels import convolution
from yolov3.kernels.convolution import TrainingConv2D
from yolov3.kernels.substitute import FusedAdamW, FusedBatchNormalization, for_training
from yolov3.yolov3 import build_yolov3

IMAGES = np.random.default_rng(0).random((2, 64, 32, 3), np.float32)
# Of the norm of a gradient. A rounding may change which input of a pooling is the largest, or the
# side of a leaky ReLU, and with it a few numbers by much; a wrong gradient has another norm.
FRACTION = 0.05


def raw_maps_and_gradients(model):
    with tf.GradientTape() as tape:
        raw_maps = model(IMAGES, training=True)
        loss = tf.add_n([tf.reduce_mean(raw**2) for raw in raw_maps])
    return raw_maps, tape.gradient(loss, [weight.value for weight in model.trainable_weights])


def test_raw_maps_and_gradients_are_those_of_the_plain_network():
    keras.utils.set_random_seed(0)
    plain = build_yolov3(2, tiny=True)
    fast = for_training(plain)
    (wanted, slopes), (found, our_slopes) = map(raw_maps_and_gradients, (plain, fast))
    for raw, our_raw in zip(wanted, found, strict=True):
        np.testing.assert_allclose(our_raw, raw, rtol=0, atol=1e-4 * np.std(raw) * 13)
    for slope, ours in zip(slopes, our_slopes, strict=True):
        assert np.linalg.norm(ours - slope) <= FRACTION * np.linalg.norm(slope) + 1e-7


@pytest.mark.parametrize(
    ("tiny", "dtype", "faster"),
    [
        (False, "mixed_bfloat16", 8),
        (True, "mixed_bfloat16", 1),
        (False, "float32", 37),
        (True, "float32", 8),
    ],
)
def test_its_weights_are_copies_by_the_same_names(tiny, dtype, faster, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(convolution, "uses_onednn", lambda: True)
    plain = build_yolov3(2, tiny)
    fast = for_training(plain, dtype)
    assert {layer.name for layer in fast.layers} == {layer.name for layer in plain.layers}
    for ours, weight in zip(fast.weights, plain.weights, strict=True):
        assert ours.path == weight.path and ours.dtype == "float32" and ours is not weight
        np.testing.assert_array_equal(ours, weight)
    assert [w.path for w in fast.trainable_weights] == [w.path for w in plain.trainable_weights]
    kinds = [type(layer) for layer in fast.layers]
    assert kinds.count(keras.layers.BatchNormalization) == 0
    assert kinds.count(FusedBatchNormalization) == (11 if tiny else 72)
    assert kinds.count(TrainingConv2D) == faster
    assert fast.get_layer("conv_0").compute_dtype == dtype.removeprefix("mixed_")
    assert all(raw.dtype == "float32" for raw in fast.outputs)


def test_an_activation_that_only_a_pooling_sees_follows_it():
    fast = for_training(build_yolov3(2, tiny=True))
    first_pool = next(x for x in fast.layers if isinstance(x, layers.MaxPooling2D))
    assert first_pool.input.name == fast.get_layer("bn_0").output.name
    assert len(fast.layers) == len(build_yolov3(2, tiny=True).layers)


# FusedBatchNormalization

CHANNELS = 5
EPSILON = 1e-5
MOMENTUM = 0.9


def batch(shape=(4, 6, 7, CHANNELS), seed=0):
    return np.random.default_rng(seed).normal(2.0, 3.0, shape).astype(np.float32)


def norms():
    """Return Keras's layer and ours with the same random weights."""
    rng = np.random.default_rng(1)
    weights = [rng.uniform(0.5, 2.0, CHANNELS) for _ in range(4)]  # gamma, beta, mean, variance
    pair = []
    for kind in (keras.layers.BatchNormalization, FusedBatchNormalization):
        layer = kind(momentum=MOMENTUM, epsilon=EPSILON)
        layer.build((None, None, None, CHANNELS))
        layer.set_weights(weights)
        pair.append(layer)
    return pair


@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_equal_those_of_keras(training):
    x = tf.constant(batch())
    results = []
    for layer in norms():
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=training)
            loss = tf.reduce_sum(outputs**2 * tf.linspace(0.1, 1.0, CHANNELS))
        gradients = tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])
        results.append([outputs, *gradients])
    for reference, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-3, atol=1e-3)


def test_moving_statistics_equal_those_of_keras_but_for_the_unbiased_variance():
    reference, ours = norms()
    before = reference.moving_variance.numpy()
    x = batch()
    for layer in (reference, ours):
        layer(x, training=True)
    np.testing.assert_allclose(ours.moving_mean, reference.moving_mean, rtol=1e-5)
    count = x.size // CHANNELS
    biased = (reference.moving_variance.numpy() - MOMENTUM * before) / (1 - MOMENTUM)
    unbiased = (ours.moving_variance.numpy() - MOMENTUM * before) / (1 - MOMENTUM)
    np.testing.assert_allclose(unbiased / biased, count / (count - 1), rtol=1e-4)
    np.testing.assert_allclose(unbiased, x.reshape(-1, CHANNELS).var(axis=0, ddof=1), rtol=1e-4)


def test_inference_and_a_frozen_layer_change_nothing():
    layer = norms()[1]
    before = layer.get_weights()
    expected = layer(batch(), training=False)
    layer.trainable = False
    np.testing.assert_array_equal(layer(batch(), training=True), expected)
    for weight, old in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_one_value_per_channel_has_a_finite_output():
    layer = norms()[1]
    outputs = layer(batch((1, 1, 1, CHANNELS)), training=True)
    np.testing.assert_allclose(outputs[0, 0, 0], layer.beta, atol=1e-5)
    assert np.isfinite(layer.moving_variance.numpy()).all()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_float32_statistics(policy):
    layer = FusedBatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, dtype=policy)
    outputs = layer(batch(), training=True)
    assert outputs.dtype == layer.compute_dtype
    assert all(weight.dtype == "float32" for weight in layer.weights)
    expected = (1 - MOMENTUM) * batch().reshape(-1, CHANNELS).mean(axis=0)
    np.testing.assert_allclose(layer.moving_mean, expected, rtol=0.01)


# FusedAdamW

STEPS = 20
SCHEDULE = keras.optimizers.schedules.PolynomialDecay(0.1, STEPS, 0.001)
SHAPES = {"kernel": (3, 3, 2, 4), "bias": (4,), "gamma": (2,)}


def train(kind, compiled, learning_rate, epsilon=1e-7):
    """Return the variables after `STEPS` steps with the same random gradients for every kind."""
    rng = np.random.default_rng(0)
    variables = [
        keras.Variable(rng.normal(size=shape).astype(np.float32), name=name)
        for name, shape in SHAPES.items()
    ]
    optimizer = kind(learning_rate, weight_decay=0.05, epsilon=epsilon)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma"])
    optimizer.build(variables)

    def step(*gradients):
        optimizer.apply(list(gradients))

    step = tf.function(step) if compiled else step
    for i in range(STEPS):
        scale = 10.0 ** rng.integers(-6, 3)
        gradients = [rng.normal(size=shape) * scale * (i % 5 > 0) for shape in SHAPES.values()]
        step(*(tf.constant(gradient, tf.float32) for gradient in gradients))
    assert int(optimizer.iterations) == STEPS
    return [variable.numpy() for variable in variables], optimizer


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize(("rate", "epsilon"), [(1e-2, 1e-7), (1e-2, 1e-3), (SCHEDULE, 1e-7)])
def test_the_optimizer_equals_that_of_keras_over_twenty_steps(compiled, rate, epsilon):
    expected, reference = train(keras.optimizers.AdamW, compiled, rate, epsilon)
    found, optimizer = train(FusedAdamW, compiled, rate, epsilon)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    for one, other in zip(optimizer.variables, reference.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_first_step_of_the_optimizer_by_hand():
    # Adam's first step is lr * g / (|g| + epsilon * ...) = lr in the gradient's direction, and the
    # decay takes lr * 0.1 of the weight first.
    variable = keras.Variable(np.float32([2.0, -3.0]))
    optimizer = FusedAdamW(0.01, weight_decay=0.1)
    optimizer.build([variable])
    optimizer.apply([tf.constant([5.0, -0.2])])
    np.testing.assert_allclose(
        variable.numpy(), [2.0 * 0.999 - 0.01, -3.0 * 0.999 + 0.01], atol=1e-6
    )


def test_a_half_precision_gradient_is_taken_as_float32():
    variable = keras.Variable(np.float32([1.0]))
    optimizer = FusedAdamW(0.01, weight_decay=0.0)
    optimizer.build([variable])
    optimizer.apply([tf.constant([3.0], tf.bfloat16)])
    np.testing.assert_allclose(variable.numpy(), [0.99], atol=1e-6)


def test_a_variable_that_starts_late_moves_as_with_a_fresh_optimizer():
    frozen_steps, gradients = 10, np.float32([[5.0], [-0.2], [0.7]])
    ends = []
    for late in (0, frozen_steps):
        variable = keras.Variable(np.float32([2.0]))
        optimizer = FusedAdamW(0.01, weight_decay=0.0)
        optimizer.build([variable])
        optimizer.start_late([variable], late)
        for gradient in [np.zeros(1, np.float32)] * late + list(gradients):
            optimizer.apply([tf.constant(gradient)])
        ends.append(float(variable.numpy()[0]))
    assert ends[1] == pytest.approx(ends[0], abs=1e-6)
    assert abs(ends[0] - 2.0) < 0.03
