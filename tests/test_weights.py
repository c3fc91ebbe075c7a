"""Weights by layer name; where the backbone ends, and that it keeps still while it is frozen."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from weight_changes import changed_layers, changed_names, snapshot

from yolov3.kernels.substitute import FusedAdamW
from yolov3.weights import (
    backbone_layers,
    class_count,
    conv_layers,
    freeze_backbone,
    is_tiny,
    load_state_dict,
    norm_of,
    state_dict,
)

CONVS = 13  # of YOLOv3-tiny


@pytest.fixture
def model(tiny_yolov3):
    return tiny_yolov3


@pytest.fixture
def images():
    return tf.constant(np.random.default_rng(5).random((2, 64, 64, 3), np.float32))


def backbone_output(model):
    """Return the network from the image to the last activation of the backbone."""
    pooled = norm_of(model, backbone_layers(model)[-1]).output
    return keras.Model(model.input, pooled)


def train_step(model, optimizer, images):
    """Take one step against a made-up loss; return the outputs in training mode before it."""
    with tf.GradientTape() as tape:
        raw_maps = model(images, training=True)
        loss = tf.add_n([tf.reduce_mean(tf.square(raw)) for raw in raw_maps])
    variables = model.trainable_variables
    optimizer.apply(tape.gradient(loss, variables), variables)
    return raw_maps


def test_what_a_network_is_can_be_read_from_it(model):
    assert [conv.name for conv in conv_layers(model)] == [f"conv_{i}" for i in range(CONVS)]
    assert [conv.name for conv in backbone_layers(model)] == [f"conv_{i}" for i in range(7)]
    assert class_count(model) == 3 and is_tiny(model)
    assert norm_of(model, model.get_layer("conv_8")) is model.get_layer("bn_8")
    assert norm_of(model, model.get_layer("conv_9")) is None


def test_frozen_backbone_does_not_move_at_all(model, images):
    freeze_backbone(model)
    before, features = snapshot(model), backbone_output(model)(images, training=False)
    optimizer = FusedAdamW(1e-2, weight_decay=0.1)
    for _ in range(3):
        train_step(model, optimizer, images)
    assert changed_layers(model, before) == set(range(7, CONVS))
    # In training mode too, so batch statistics play no part.
    np.testing.assert_array_equal(backbone_output(model)(images, training=True), features)


def test_unfrozen_batch_normalisation_uses_and_follows_the_batch(model, images):
    freeze_backbone(model)
    freeze_backbone(model, False)
    before, features = snapshot(model), backbone_output(model)(images, training=False)
    trained = backbone_output(model)(images, training=True)
    assert abs(trained - features).numpy().max() > 0.1
    moving = {f"bn_{i}/moving_{x}" for i in range(7) for x in ("mean", "variance")}
    assert changed_names(model, before) == moving


@pytest.mark.parametrize("scaled", [False, True])
def test_an_optimizer_built_on_all_variables_survives_freezing(model, images, scaled):
    """So a run may freeze for some epochs without a new optimizer, whose variables it saves."""
    optimizer = FusedAdamW(1e-2, weight_decay=0.1)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    paths, slots = [weight.path for weight in model.variables], len(optimizer.variables)
    freeze_backbone(model)
    assert [weight.path for weight in model.variables] == paths  # the order of the weight average
    before = snapshot(model)
    train_step(model, optimizer, images)
    assert changed_layers(model, before) == set(range(7, CONVS))
    freeze_backbone(model, False)
    before = snapshot(model)
    train_step(model, optimizer, images)
    assert changed_layers(model, before) == set(range(CONVS))
    assert len(optimizer.variables) == slots


@pytest.fixture
def small():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv_0", use_bias=False)(image)
    x = keras.layers.BatchNormalization(name="bn_0")(x)
    return keras.Model(image, keras.layers.Conv2D(2, 1, name="conv_1")(x))


def random_weights(small, seed=0):
    rng = np.random.default_rng(seed)
    arrays = state_dict(small)
    return {name: rng.normal(size=a.shape).astype(a.dtype) for name, a in arrays.items()}


def test_names(small):
    norm = {f"bn_0/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    assert state_dict(small).keys() == norm | {"conv_0/kernel", "conv_1/kernel", "conv_1/bias"}


def test_round_trip(small):
    weights = random_weights(small)
    load_state_dict(small, weights)
    loaded = state_dict(small)
    load_state_dict(small, random_weights(small, seed=1))  # the arrays are copies
    for name, array in loaded.items():
        np.testing.assert_array_equal(array, weights[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("conv_1/bias"), r"missing \['conv_1/bias'\], unknown \[\]"),
        (lambda w: w.update(extra=w["conv_1/bias"]), r"missing \[\], unknown \['extra'\]"),
        (
            lambda w: w.update({"conv_1/bias": np.zeros(3)}),
            r"conv_1/bias: expected float32 \(2,\); received float64 \(3,\)",
        ),
        (
            lambda w: w.update({"conv_1/bias": np.zeros(2, np.complex64)}),
            r"conv_1/bias: expected float32 \(2,\); received complex64 \(2,\)",
        ),
    ],
)
def test_other_weights_are_refused_as_a_whole(small, change, message):
    before = state_dict(small)
    weights = random_weights(small)
    change(weights)
    with pytest.raises(ValueError, match=message):
        load_state_dict(small, weights)
    for name, array in state_dict(small).items():
        np.testing.assert_array_equal(array, before[name])
