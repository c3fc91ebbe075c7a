"""Convolution: its outputs and gradients against those of Keras and TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from yolov3.kernels import convolution
from yolov3.kernels.convolution import MANY_CHANNELS, MatmulGradientConv2D, kernel_gradient, suits

FILTERS = 8
PRECISIONS = {"float32": 2.0**-23, "mixed_bfloat16": 2.0**-8}  # what rounding takes at most


def outputs_and_gradients(kind, strides, padding, dtype, height, width):
    rng = np.random.default_rng(0)
    layer = kind(FILTERS, 3, strides, padding, use_bias=False, dtype=dtype)
    layer.build((None, None, None, MANY_CHANNELS))
    layer.kernel.assign(rng.normal(size=layer.kernel.shape) / 70)
    inputs = tf.constant(rng.normal(size=(2, height, width, MANY_CHANNELS)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = tf.cast(layer(inputs), tf.float32)
        loss = tf.reduce_sum(outputs * rng.normal(size=outputs.shape).astype(np.float32))
    return [outputs, *tape.gradient(loss, [inputs, layer.kernel.value])]


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(
    ("strides", "padding", "height", "width"),
    [(1, "same", 5, 7), (1, "same", 1, 1), (2, "valid", 15, 9), (2, "valid", 3, 5)],
)
def test_outputs_and_gradients_are_those_of_keras(strides, padding, height, width, dtype):
    wanted, found = (
        outputs_and_gradients(kind, strides, padding, dtype, height, width)
        for kind in (layers.Conv2D, MatmulGradientConv2D)
    )
    np.testing.assert_array_equal(found[0], wanted[0])
    terms = max(9 * FILTERS, np.prod(found[0].shape[:3]))  # of a sum in either gradient
    for ours, keras_s in zip(found[1:], wanted[1:], strict=True):
        assert ours.dtype == keras_s.dtype and ours.shape == keras_s.shape
        limit = PRECISIONS[dtype] * np.sqrt(terms) * np.abs(keras_s).max()
        np.testing.assert_allclose(ours, keras_s, rtol=0, atol=limit)


def test_a_kernel_gradient_by_hand():
    inputs = tf.reshape(tf.range(1.0, 10.0), [1, 3, 3, 1])  # 1 2 3 / 4 5 6 / 7 8 9
    upstream = tf.reshape([0.0, 0, 0, 0, 1, 0, 0, 0, 0], [1, 3, 3, 1])  # the middle alone
    found = kernel_gradient(inputs, upstream, 1, "SAME")
    np.testing.assert_array_equal(tf.reshape(found, [3, 3]), inputs[0, ..., 0])
    corner = tf.reshape([1.0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 3, 3, 1])
    found = kernel_gradient(inputs, corner, 1, "SAME")
    np.testing.assert_array_equal(tf.reshape(found, [3, 3]), [[0, 0, 0], [0, 1, 2], [0, 4, 5]])


@pytest.mark.parametrize(
    ("channels", "kernel_size", "expected"),
    [(MANY_CHANNELS, 3, True), (MANY_CHANNELS - 1, 3, False), (MANY_CHANNELS, 1, False)],
)
def test_it_suits_3x3_kernels_of_many_channels_without_a_gpu(
    channels, kernel_size, expected, monkeypatch
):
    layer = layers.Conv2D(2, kernel_size)
    layer.build((None, None, None, channels))
    monkeypatch.setattr(convolution.tf.config, "list_physical_devices", lambda kind: [])
    assert suits(layer) == expected
    monkeypatch.setattr(convolution.tf.config, "list_physical_devices", lambda kind: [kind])
    assert not suits(layer)
