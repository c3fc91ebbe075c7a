"""Folding: by hand, its rounding, and the networks in float32 and bfloat16 (see test_referee)."""

import darknet_cfg
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from yolov3.darknet import open_darknet
from yolov3.kernels.folding import fold, make_bias_exact, refold, round_kernel
from yolov3.kernels.winograd import WinogradConvolution
from yolov3.yolov3 import build_yolov3

CLASSES = 3
# Largest errors of raw maps, in their standard deviations. bfloat16 keeps 8 bits of each number.
TOLERANCES = {"float32": 1e-4, "bfloat16": 0.06}


def network(channels: int, epsilon: float) -> keras.Model:
    """Build two 1x1 convolutions of one channel, the first with batch normalisation."""
    image = keras.Input((1, 1, channels))
    x = layers.Conv2D(1, 1, use_bias=False, name="conv_0")(image)
    x = layers.BatchNormalization(epsilon=epsilon, name="bn_0")(x)
    return keras.Model(image, layers.Conv2D(1, 1, name="conv_1")(x))


def test_a_convolution_takes_the_scale_and_shift_of_its_normalisation():
    plain = network(1, epsilon=0.05)
    folded = fold(plain)
    plain.get_layer("conv_0").set_weights([np.full((1, 1, 1, 1), 2.0)])
    gamma, beta, mean, variance = 3.0, 1.0, 4.0, 0.2
    plain.get_layer("bn_0").set_weights([np.array([v]) for v in (gamma, beta, mean, variance)])
    plain.get_layer("conv_1").set_weights([np.full((1, 1, 1, 1), 7.0), np.array([8.0])])
    refold(folded, plain)
    # 3 * (2x - 4) / sqrt(0.2 + 0.05) + 1 = 12x - 23
    kernel, bias = folded.get_layer("conv_0").get_weights()
    assert (kernel.item(), bias.item()) == (pytest.approx(12), pytest.approx(-23))
    kernel, bias = folded.get_layer("conv_1").get_weights()
    assert (kernel.item(), bias.item()) == (7, 8)


@pytest.mark.parametrize(
    ("tiny", "dtype", "transformed"),
    [(False, "float32", 24), (True, "float32", 5), (True, "bfloat16", 0)],
    ids=["full", "tiny", "tiny bfloat16"],
)
def test_a_folded_network_has_biases_in_place_of_batch_normalisation(tiny, dtype, transformed):
    model = build_yolov3(CLASSES, tiny, kernel_initializer="zeros")
    folded = fold(model, dtype)
    names = [layer.name for layer in model.layers if not layer.name.startswith("bn_")]
    assert [layer.name for layer in folded.layers] == names
    convs = [layer for layer in folded.layers if layer.name.startswith("conv_")]
    assert all(conv.use_bias and conv.compute_dtype == dtype for conv in convs)
    assert sum(isinstance(conv, WinogradConvolution) for conv in convs) == transformed
    assert all(raw.dtype == "float32" for raw in folded.outputs)


@pytest.mark.parametrize("precision", TOLERANCES)
@pytest.mark.parametrize("tiny", [True, False], ids=["tiny", "full"])
def test_raw_maps_stay_within_the_tolerance_of_their_precision(tiny, precision, tmp_path):
    path = tmp_path / "network.weights"
    darknet_cfg.write_weights(str(path), darknet_cfg.random_layers(tiny, CLASSES, seed=1))
    trained, _, _ = open_darknet(path)
    images = np.random.default_rng(2).random((1, 160, 224, 3), np.float32)
    folded = fold(trained, precision)
    for raw, right in zip(folded(images, training=False), trained(images), strict=True):
        error = np.abs(raw.numpy() - right).max() / np.std(right)
        assert error < TOLERANCES[precision]
        assert (error > 1e-3) == (precision == "bfloat16")  # it does compute in bfloat16


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_in_half_precision_the_first_layer_loses_nothing(dtype):
    image = keras.Input((1, 1, 64))
    x = layers.Conv2D(1, 1, name="conv_0")(image)
    trained = keras.Model(image, layers.Conv2D(1, 1, name="conv_1")(x))
    bias = -9 * (1 + 0.4 * np.finfo(np.float16).eps)  # which neither type can tell from -9
    trained.get_layer("conv_0").set_weights([np.full((1, 1, 64, 1), 9 / 64), np.array([bias])])
    weights = fold(trained, dtype).get_layer("conv_0").weights
    kernel, rounded = (np.asarray(weight, np.float64) for weight in weights)
    assert rounded == -9
    # For an image of 1 all over, the two nearly cancel: what is left must be in proportion.
    exact = 9 * (-9 / bias) - 9
    assert (kernel.sum() + rounded).item() == pytest.approx(exact, abs=2.0**-9)


HALF_PRECISIONS = {"bfloat16": 2.0**-8, "float16": 2.0**-11}  # largest error of rounding 1 + x


def random_kernel() -> np.ndarray:
    return np.random.default_rng(0).uniform(1.0, 1.9, (3, 3, 64, 5)).astype(np.float32)


def plainly_rounded(kernel, dtype):
    return kernel.astype(tf.as_dtype(dtype).as_numpy_dtype).astype(np.float32)


def test_what_rounding_takes_goes_to_the_next_number_of_the_same_output():
    step = 2.0**-7  # between neighbours of 1 in bfloat16
    a_quarter_above = np.array([1 + step / 4] * 4).reshape(1, 1, 4, 1)
    exact = np.ones((1, 1, 4, 1))
    kernel = np.concatenate([a_quarter_above, exact], axis=-1).astype(np.float32)
    rounded = round_kernel(kernel, "bfloat16")
    # Owed after each number, in quarters of a step: 1, 2 (a tie, to the even 1), -1, 0.
    assert rounded[0, 0, :, 0].tolist() == [1, 1, 1 + step, 1]
    assert rounded[0, 0, :, 1].tolist() == [1, 1, 1, 1]


def test_the_pixels_of_a_channel_come_one_after_another():
    step = 2.0**-7
    kernel = np.ones((2, 1, 2, 1), np.float32)
    kernel[0, 0, 0, 0] = kernel[1, 0, 0, 0] = 1 + step * 0.375  # both of channel 0
    rounded = round_kernel(kernel, "bfloat16")
    assert rounded[:, 0, 0, 0].tolist() == [1, 1 + step]
    assert rounded[:, 0, 1, 0].tolist() == [1, 1]


@pytest.mark.parametrize("dtype", HALF_PRECISIONS)
def test_the_errors_of_an_output_cancel(dtype):
    kernel, largest = random_kernel(), HALF_PRECISIONS[dtype]
    rounded = round_kernel(kernel, dtype)
    np.testing.assert_array_equal(rounded, plainly_rounded(rounded, dtype))  # the type holds them
    assert np.abs(rounded - kernel).max() <= 2.01 * largest
    errors = (rounded - kernel).sum(axis=(0, 1, 2), dtype=np.float64)
    plain = (plainly_rounded(kernel, dtype) - kernel).sum(axis=(0, 1, 2), dtype=np.float64)
    assert np.abs(errors).max() <= 1.01 * largest
    assert np.abs(plain).max() > 5 * largest


@pytest.mark.parametrize("dtype", HALF_PRECISIONS)
def test_an_exact_bias_changes_no_output(dtype):
    rng = np.random.default_rng(1)
    kernel, next_kernel = rng.normal(size=(3, 3, 2, 7)), rng.normal(size=(1, 1, 7, 4))
    bias = np.array([9.1234, -9.1234, 0.3, 1e-3, 0, 1, 1e-40])
    before = [weights.astype(np.float32) for weights in (kernel, bias, next_kernel)]
    after = make_bias_exact(*before, dtype)
    x = tf.constant(rng.normal(size=(1, 6, 6, 2)), tf.float32)

    def outputs(kernel, bias, next_kernel):
        hidden = tf.nn.leaky_relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias, 0.1)
        return tf.nn.conv2d(tf.nn.max_pool2d(hidden, 2, 2, "SAME"), next_kernel, 1, "SAME")

    np.testing.assert_allclose(outputs(*after), outputs(*before), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(plainly_rounded(after[1], dtype)[:6], after[1][:6], rtol=1e-6)
    assert np.abs(plainly_rounded(before[1], dtype) - before[1]).max() > 1e-4
    assert after[1][6] == before[1][6]  # too small for the type: left as it was
