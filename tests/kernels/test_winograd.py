"""WinogradConvolution, against Keras's convolution."""

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from yolov3.kernels.winograd import WinogradConvolution, suits, transform_kernel

CHANNELS, FILTERS = 64, 8


@pytest.fixture(scope="module")
def pair():
    """Return Keras's layer and ours, with the same weights."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, CHANNELS, FILTERS)).astype(np.float32) / 24
    bias = rng.normal(size=FILTERS).astype(np.float32)
    keras_s, ours = layers.Conv2D(FILTERS, 3, padding="same"), WinogradConvolution(FILTERS)
    for layer, weights in ((keras_s, kernel), (ours, transform_kernel(kernel))):
        layer.build((None, None, None, CHANNELS))
        layer.set_weights([weights, bias])
    return keras_s, ours


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 4, 4), (2, 5, 3), (3, 8, 7), (1, 13, 13), (2, 2, 17), (1, 16, 6)]
)
def test_any_height_width_and_batch_is_convolved_as_keras_does(pair, shape):
    inputs = np.random.default_rng(1).normal(size=(*shape, CHANNELS)).astype(np.float32)
    wanted, found = (layer(inputs) for layer in pair)
    assert found.shape == wanted.shape == (*shape, FILTERS)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5)


def test_its_rounding_errors_are_below_ten_times_those_of_keras(pair):
    inputs = np.random.default_rng(2).normal(size=(4, 26, 26, CHANNELS)).astype(np.float32)
    kernel, bias = (weights.astype(np.float64) for weights in pair[0].get_weights())
    exact = tf.nn.conv2d(inputs.astype(np.float64), kernel, 1, "SAME").numpy() + bias
    theirs, ours = (np.square(layer(inputs) - exact).mean() ** 0.5 for layer in pair)
    assert 0 < ours < 10 * theirs


def test_one_graph_takes_all_sizes(pair):
    graph = tf.function(
        pair[1], input_signature=[tf.TensorSpec([None, None, None, CHANNELS], tf.float32)]
    )
    for size in (4, 7):
        assert graph(tf.zeros([1, size, size + 1, CHANNELS])).shape == (1, size, size + 1, FILTERS)


@pytest.mark.parametrize(
    ("channels", "kernel_size", "strides", "dtype", "expected"),
    [
        (128, 3, 1, "float32", True),
        (256, 3, 1, "float32", True),
        (64, 3, 1, "float32", True),
        (32, 3, 1, "float32", False),
        (512, 3, 1, "float32", False),
        (128, 1, 1, "float32", False),
        (128, 3, 2, "float32", False),
        (128, 3, 1, "bfloat16", False),
    ],
)
def test_it_suits_3x3_kernels_of_medium_depth_in_float32(
    channels, kernel_size, strides, dtype, expected, monkeypatch
):
    layer = layers.Conv2D(FILTERS, kernel_size, strides)
    layer.build((None, None, None, channels))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert suits(layer, dtype) == expected
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert not suits(layer, dtype)  # a GPU has its own
