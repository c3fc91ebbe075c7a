"""Tests of weights by name: all of them are taken over, or none."""

import keras
import numpy as np
import pytest

from yolov3.weights import named_variables, set_weights, to_arrays


@pytest.fixture
def model():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv_0", use_bias=False)(image)
    x = keras.layers.BatchNormalization(name="bn_0")(x)
    return keras.Model(image, keras.layers.Conv2D(2, 1, name="conv_1")(x))


def random_weights(model):
    rng = np.random.default_rng(0)
    arrays = to_arrays(named_variables(model))
    return {name: rng.normal(size=a.shape).astype(a.dtype) for name, a in arrays.items()}


def test_names(model):
    assert sorted(named_variables(model)) == [
        "bn_0/beta",
        "bn_0/gamma",
        "bn_0/moving_mean",
        "bn_0/moving_variance",
        "conv_0/kernel",
        "conv_1/bias",
        "conv_1/kernel",
    ]


def test_round_trip(model):
    weights = random_weights(model)
    set_weights(model, weights)
    for name, array in to_arrays(named_variables(model)).items():
        np.testing.assert_array_equal(array, weights[name])


def test_arrays_are_copies(model):
    arrays = to_arrays(named_variables(model))
    before = arrays["conv_0/kernel"].copy()
    set_weights(model, random_weights(model))
    np.testing.assert_array_equal(arrays["conv_0/kernel"], before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("conv_1/bias"), r"missing \['conv_1/bias'\], unknown \[\]"),
        (lambda w: w.update(extra=w["conv_1/bias"]), r"missing \[\], unknown \['extra'\]"),
        (
            lambda w: w.update({"conv_1/bias": np.zeros(3)}),
            r"conv_1/bias: expected shape \(2,\); received \(3,\)",
        ),
    ],
)
def test_other_weights_are_refused_as_a_whole(model, change, message):
    before = to_arrays(named_variables(model))
    weights = random_weights(model)
    change(weights)
    with pytest.raises(ValueError, match=message):
        set_weights(model, weights)
    for name, array in to_arrays(named_variables(model)).items():
        np.testing.assert_array_equal(array, before[name])
