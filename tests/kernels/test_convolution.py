"""Convolutions for training, against Keras's."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from yolov3.kernels import convolution
from yolov3.kernels.convolution import TrainingConv2D, suits

FILTERS = 8
PRODUCT, WINOGRAD = 16, 64  # channels that take each way
ROUNDING = {"float32": 2.0**-23, "mixed_bfloat16": 2.0**-8}  # what it takes at most


def outputs_and_gradients(kind, channels, strides, padding, dtype, shape):
    rng = np.random.default_rng(0)
    layer = kind(FILTERS, 3, strides, padding, use_bias=False, dtype=dtype)
    layer.build((None, None, None, channels))
    layer.kernel.assign(rng.normal(size=layer.kernel.shape) / (3 * channels**0.5))
    inputs = tf.constant(rng.normal(size=(*shape, channels)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = tf.cast(layer(inputs), tf.float32)
        loss = tf.reduce_sum(outputs * rng.normal(size=outputs.shape).astype(np.float32))
    return [outputs, *tape.gradient(loss, [inputs, layer.kernel.value])]


def assert_equal(found, wanted, channels, dtype, factor=1.0):
    """Compare outputs and gradients up to the rounding of sums as long as theirs."""
    terms = max(9 * channels, np.prod(wanted[0].shape[:3]))
    for ours, keras_s in zip(found, wanted, strict=True):
        assert ours.dtype == keras_s.dtype and ours.shape == keras_s.shape
        limit = factor * ROUNDING[dtype] * np.sqrt(terms) * np.abs(keras_s).max()
        np.testing.assert_allclose(ours, keras_s, rtol=0, atol=limit)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize(
    ("strides", "padding", "height", "width"),
    [(1, "same", 5, 7), (1, "same", 1, 1), (2, "valid", 15, 9), (2, "valid", 3, 5)],
)
def test_the_gradient_as_a_product_is_that_of_keras(strides, padding, height, width, dtype):
    wanted, found = (
        outputs_and_gradients(kind, PRODUCT, strides, padding, dtype, (2, height, width))
        for kind in (layers.Conv2D, TrainingConv2D)
    )
    np.testing.assert_array_equal(found[0], wanted[0])
    assert_equal(found, wanted, PRODUCT, dtype)


@pytest.mark.parametrize(
    "shape", [(1, 32, 32), (2, 30, 23), (4, 13, 13), (64, 1, 1), (1, 2, 255), (1, 31, 33)]
)
def test_outputs_and_gradients_by_winograd_are_those_of_keras(shape):
    wanted, found = (
        outputs_and_gradients(kind, WINOGRAD, 1, "same", "float32", shape)
        for kind in (layers.Conv2D, TrainingConv2D)
    )
    assert not np.array_equal(found[0], wanted[0])  # it was computed in another way
    assert_equal(found, wanted, WINOGRAD, "float32", factor=4)


@pytest.mark.parametrize("shape", [(1, 31, 28), (3, 13, 13), (63, 1, 1)])
def test_with_few_tiles_outputs_are_those_of_keras_to_the_last_bit(shape):
    wanted, found = (
        outputs_and_gradients(kind, WINOGRAD, 1, "same", "float32", shape)
        for kind in (layers.Conv2D, TrainingConv2D)
    )
    np.testing.assert_array_equal(found[0], wanted[0])
    assert_equal(found, wanted, WINOGRAD, "float32")


def test_one_graph_takes_all_sizes_and_its_gradients_have_their_shapes():
    layer = TrainingConv2D(FILTERS, 3, padding="same", use_bias=False)
    layer.build((None, None, None, WINOGRAD))

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, WINOGRAD], tf.float32)])
    def graph(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
            assert outputs.shape == (None, None, None, FILTERS)  # what batch normalisation needs
        return outputs, *tape.gradient(outputs, [inputs, layer.kernel.value])

    for height in (40, 9):  # by Winograd, and without
        width = height + 1
        outputs, of_inputs, of_kernel = graph(tf.ones([1, height, width, WINOGRAD]))
        assert outputs.shape == (1, height, width, FILTERS)
        assert of_inputs.shape == (1, height, width, WINOGRAD)
        # Each place of the kernel sees as many ones as it has positions within the image.
        seen = np.outer([height - 1, height, height - 1], [width - 1, width, width - 1])
        np.testing.assert_allclose(of_kernel[:, :, 0, 0], seen, rtol=1e-4)


def test_layers_of_the_same_channels_share_a_graph():
    before = convolution._forward.experimental_get_tracing_count()
    pair = [TrainingConv2D(FILTERS + 1, 3, padding="same") for _ in range(2)]

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, WINOGRAD], tf.float32)])
    def graph(inputs):
        return [layer(inputs) for layer in pair]

    graph(tf.zeros([1, 4, 4, WINOGRAD]))
    assert convolution._forward.experimental_get_tracing_count() == before + 1


@pytest.mark.parametrize(
    ("channels", "kernel_size", "dtype", "expected"),
    [
        (16, 3, "float32", True),
        (15, 3, "float32", False),
        (512, 3, "mixed_bfloat16", True),
        (511, 3, "mixed_bfloat16", False),
        (512, 1, "float32", False),
        (512, 3, "mixed_float16", False),
    ],
)
def test_it_suits_3x3_kernels_of_enough_channels_with_onednn_and_without_a_gpu(
    channels, kernel_size, dtype, expected, monkeypatch
):
    layer = layers.Conv2D(2, kernel_size)
    layer.build((None, None, None, channels))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(convolution, "uses_onednn", lambda: True)
    assert suits(layer, dtype) == expected
    monkeypatch.setattr(convolution, "uses_onednn", lambda: False)
    assert not suits(layer, dtype)
    monkeypatch.setattr(convolution, "uses_onednn", lambda: True)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert not suits(layer, dtype)


def test_it_keeps_the_configuration_of_a_convolution():
    layer = TrainingConv2D(FILTERS, 3, padding="same")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is TrainingConv2D and again.get_config() == layer.get_config()
