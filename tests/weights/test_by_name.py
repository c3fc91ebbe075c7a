"""Tests of weights by name: all of them are taken over, or none."""

import keras
import numpy as np
import pytest

from yolov3.weights import by_name as weights_module
from yolov3.weights.by_name import named_variables, network_with, set_weights, state_dict
from yolov3.weights.darknet_file import FLOATS
from yolov3.yolov3 import build_yolov3


@pytest.fixture
def model():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv_0", use_bias=False)(image)
    x = keras.layers.BatchNormalization(name="bn_0")(x)
    return keras.Model(image, keras.layers.Conv2D(2, 1, name="conv_1")(x))


def random_weights(model):
    rng = np.random.default_rng(0)
    arrays = state_dict(named_variables(model))
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
    for name, array in state_dict(named_variables(model)).items():
        np.testing.assert_array_equal(array, weights[name])


def test_arrays_are_copies(model):
    arrays = state_dict(named_variables(model))
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
        (
            lambda w: w.update({"conv_1/bias": np.zeros(2, np.complex64)}),
            r"conv_1/bias: expected float32; received complex64",
        ),
    ],
)
def test_other_weights_are_refused_as_a_whole(model, change, message):
    before = state_dict(named_variables(model))
    weights = random_weights(model)
    change(weights)
    with pytest.raises(ValueError, match=message):
        set_weights(model, weights)
    for name, array in state_dict(named_variables(model)).items():
        np.testing.assert_array_equal(array, before[name])


def test_network_with_weights_is_that_of_the_weights():
    weights = state_dict(named_variables(build_yolov3(2, tiny=True)))
    network = network_with(weights, 2, tiny=True)
    for name, array in state_dict(named_variables(network)).items():
        np.testing.assert_array_equal(array, weights[name])
    renamed = {name.replace("conv_3/", "conv_99/"): array for name, array in weights.items()}
    with pytest.raises(ValueError, match=r"missing \['conv_3/kernel'\]"):
        network_with(renamed, 2, tiny=True)


@pytest.mark.parametrize(("num_classes", "tiny"), [(3, True), (2, False), (10**9, True), (0, True)])
def test_network_of_other_weights_is_not_even_built(monkeypatch, num_classes, tiny):
    fixed, per_class = FLOATS[True]
    weights = {"any": np.broadcast_to(np.float32(0), (fixed + 2 * per_class,))}
    monkeypatch.setattr(weights_module, "build_yolov3", None)
    expected = (
        f"expected weights of YOLOv3.* for {num_classes} classes; received 8,678,554 numbers, "
        "these look like YOLOv3-tiny weights for 2 classes"
    )
    with pytest.raises(ValueError, match=expected):
        network_with(weights, num_classes, tiny)
