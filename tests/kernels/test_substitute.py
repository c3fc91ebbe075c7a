"""Fast layers in place of plain ones: the same network, for training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolov3.kernels.batch_norm import FusedBatchNormalization
from yolov3.kernels.convolution import MatmulGradientConv2D
from yolov3.kernels.substitute import for_training
from yolov3.yolov3 import build_yolov3

IMAGES = np.random.default_rng(0).random((2, 64, 32, 3), np.float32)
FRACTION = 1e-3  # of the largest gradient; rounding that passes back through the layers


def raw_maps_and_gradients(model):
    with tf.GradientTape() as tape:
        raw_maps = model(IMAGES, training=True)
        loss = tf.add_n([tf.reduce_mean(raw**2) for raw in raw_maps])
    return raw_maps, tape.gradient(loss, [weight.value for weight in model.trainable_weights])


def test_raw_maps_and_gradients_are_those_of_the_plain_network():
    plain = build_yolov3(2, tiny=True)
    fast = for_training(plain)
    (wanted, slopes), (found, our_slopes) = map(raw_maps_and_gradients, (plain, fast))
    for raw, our_raw in zip(wanted, found, strict=True):
        np.testing.assert_allclose(our_raw, raw, rtol=0, atol=1e-4 * np.std(raw) * 13)
    for slope, ours in zip(slopes, our_slopes, strict=True):
        limit = FRACTION * np.abs(slope).max()
        np.testing.assert_allclose(ours, slope, rtol=0, atol=limit + 1e-7)


@pytest.mark.parametrize(("tiny", "wide"), [(False, 8), (True, 1)], ids=["full", "tiny"])
def test_its_weights_are_copies_by_the_same_names(tiny, wide, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    plain = build_yolov3(2, tiny)
    fast = for_training(plain, "mixed_bfloat16")
    assert [layer.name for layer in fast.layers] == [layer.name for layer in plain.layers]
    for ours, weight in zip(fast.weights, plain.weights, strict=True):
        assert ours.path == weight.path and ours.dtype == "float32" and ours is not weight
        np.testing.assert_array_equal(ours, weight)
    assert [w.path for w in fast.trainable_weights] == [w.path for w in plain.trainable_weights]
    kinds = [type(layer) for layer in fast.layers]
    assert kinds.count(keras.layers.BatchNormalization) == 0
    assert kinds.count(FusedBatchNormalization) == (11 if tiny else 72)
    assert kinds.count(MatmulGradientConv2D) == wide
    assert fast.get_layer("conv_0").compute_dtype == "bfloat16"
    assert all(raw.dtype == "float32" for raw in fast.outputs)
