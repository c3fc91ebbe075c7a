"""Folding of batch normalisation, by hand; the networks themselves are in test_referee."""

import keras
import numpy as np
import pytest
from keras import layers

from yolov3.kernels import folding
from yolov3.kernels.folding import fold_into


def network(normalized: bool) -> keras.Model:
    """Build two 1x1 convolutions of one channel, the first with batch normalisation or a bias."""
    image = keras.Input((1, 1, 1))
    x = layers.Conv2D(1, 1, use_bias=not normalized, name="conv_0")(image)
    x = layers.BatchNormalization(name="bn_0")(x) if normalized else x
    return keras.Model(image, layers.Conv2D(1, 1, name="conv_1")(x))


def test_a_convolution_takes_the_scale_and_shift_of_its_normalisation(monkeypatch):
    monkeypatch.setattr(folding, "BN_EPSILON", 0.05)
    plain, folded = network(normalized=True), network(normalized=False)
    plain.get_layer("conv_0").set_weights([np.full((1, 1, 1, 1), 2.0)])
    gamma, beta, mean, variance = 3.0, 1.0, 4.0, 0.2
    plain.get_layer("bn_0").set_weights([np.array([v]) for v in (gamma, beta, mean, variance)])
    plain.get_layer("conv_1").set_weights([np.full((1, 1, 1, 1), 7.0), np.array([8.0])])
    fold_into(folded, plain)
    # 3 * (2x - 4) / sqrt(0.2 + 0.05) + 1 = 12x - 23
    kernel, bias = folded.get_layer("conv_0").get_weights()
    assert (kernel.item(), bias.item()) == (pytest.approx(12), pytest.approx(-23))
    kernel, bias = folded.get_layer("conv_1").get_weights()
    assert (kernel.item(), bias.item()) == (7, 8)


def half(dtype: str) -> keras.Model:
    """Build two convolutions of one channel that take 64 channels, without activations."""
    image = keras.Input((1, 1, 64))
    x = layers.Conv2D(1, 1, name="conv_0", dtype=dtype)(image)
    return keras.Model(image, layers.Conv2D(1, 1, name="conv_1", dtype=dtype)(x))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_what_half_precision_rounds_off_a_kernel_does_not_add_up(dtype):
    trained, folded = half("float32"), half(dtype)
    kernel = np.full((1, 1, 64, 1), 1 + 2.0**-13)  # less above 1 than either type can tell
    trained.get_layer("conv_0").set_weights([kernel, np.zeros(1)])
    fold_into(folded, trained)
    rounded = np.asarray(folded.get_layer("conv_0").kernel, np.float32)
    assert rounded.sum() == pytest.approx(kernel.sum(), abs=2.0**-8)  # and not 64


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_large_bias_of_the_first_layer_loses_nothing(dtype):
    trained, folded = half("float32"), half(dtype)
    bias = -9 * (1 + 0.4 * np.finfo(np.float16).eps)  # which neither type can tell from -9
    trained.get_layer("conv_0").set_weights([np.full((1, 1, 64, 1), 9 / 64), np.array([bias])])
    fold_into(folded, trained)
    kernel, rounded = (np.asarray(w, np.float64) for w in folded.get_layer("conv_0").weights)
    assert rounded == -9
    # For an image of 1 all over, the two nearly cancel: what is left must be in proportion.
    exact = 9 * (-9 / bias) - 9
    assert (kernel.sum() + rounded).item() == pytest.approx(exact, abs=2.0**-9)
