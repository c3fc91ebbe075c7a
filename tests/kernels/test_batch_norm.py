"""The fused batch normalisation, against the layer of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolov3.kernels.batch_norm import FusedBatchNormalization

CHANNELS = 5
EPSILON = 1e-5
MOMENTUM = 0.9


def batch(shape=(4, 6, 7, CHANNELS), seed=0):
    return np.random.default_rng(seed).normal(2.0, 3.0, shape).astype(np.float32)


def pair():
    """Return Keras's layer and ours with the same random weights."""
    rng = np.random.default_rng(1)
    weights = [rng.uniform(0.5, 2.0, CHANNELS) for _ in range(4)]  # gamma, beta, mean, variance
    layers = []
    for kind in (keras.layers.BatchNormalization, FusedBatchNormalization):
        layer = kind(momentum=MOMENTUM, epsilon=EPSILON)
        layer.build((None, None, None, CHANNELS))
        layer.set_weights(weights)
        layers.append(layer)
    return layers


@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_equal_those_of_keras(training):
    x = tf.constant(batch())
    results = []
    for layer in pair():
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=training)
            loss = tf.reduce_sum(outputs**2 * tf.linspace(0.1, 1.0, CHANNELS))
        gradients = tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])
        results.append([outputs, *gradients])
    for reference, ours in zip(*results, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-3, atol=1e-3)


def test_training_outputs_have_mean_beta_and_deviation_gamma():
    layer = pair()[1]
    outputs = layer(batch(), training=True).numpy().reshape(-1, CHANNELS)
    np.testing.assert_allclose(outputs.mean(axis=0), layer.beta, atol=1e-4)
    np.testing.assert_allclose(outputs.std(axis=0), layer.gamma, rtol=1e-4)


def test_moving_statistics_equal_those_of_keras_but_for_the_unbiased_variance():
    reference, ours = pair()
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


def test_inference_changes_nothing():
    layer = pair()[1]
    before = [weight.numpy().copy() for weight in layer.weights]
    layer(batch(), training=False)
    layer(batch())
    for weight, old in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_a_frozen_layer_uses_and_keeps_its_moving_statistics():
    layer = pair()[1]
    expected = layer(batch(), training=False)
    before = [weight.numpy().copy() for weight in layer.weights]
    layer.trainable = False
    np.testing.assert_array_equal(layer(batch(), training=True), expected)
    for weight, old in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)
    assert layer.trainable_variables == []


def test_one_value_per_channel_has_a_finite_output():
    layer = pair()[1]
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


def test_a_saved_layer_comes_back():
    layer = pair()[1]
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert isinstance(copy, FusedBatchNormalization)
    assert (copy.momentum, copy.epsilon) == (MOMENTUM, EPSILON)
