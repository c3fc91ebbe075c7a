"""The networks and `decode`."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolov3.configs import ANCHORS, STRIDES, TINY_STRIDES
from yolov3.kernels.folding import fold
from yolov3.kernels.substitute import for_training
from yolov3.yolov3 import build_yolov3, decode

PARAMETERS = {False: 62_001_757, True: 8_858_734}  # darknet's weights for the 80 classes of COCO
CONVOLUTIONS = {False: 75, True: 13}
OUTPUTS = {False: {58, 66, 74}, True: {9, 12}}  # convolutions without batch normalisation


@pytest.fixture(scope="module", params=[False, True], ids=["full", "tiny"])
def tiny(request):
    return request.param


@pytest.fixture(scope="module")
def model(tiny):
    return build_yolov3(80, tiny)


def images(height, width, batch=2):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 1, (batch, height, width, 3)).astype(np.float32)


def test_layers_and_parameters_are_those_of_darknet(model, tiny):
    assert model.count_params() == PARAMETERS[tiny]
    names = {layer.name for layer in model.layers if layer.weights}
    convolutions = {f"conv_{i}" for i in range(CONVOLUTIONS[tiny])}
    norms = {f"bn_{i}" for i in range(CONVOLUTIONS[tiny]) if i not in OUTPUTS[tiny]}
    assert names == convolutions | norms
    for i in range(CONVOLUTIONS[tiny]):
        layer = model.get_layer(f"conv_{i}")
        assert layer.use_bias == (i in OUTPUTS[tiny])
        assert (layer.filters == 3 * 85) == (i in OUTPUTS[tiny])


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 96), (96, 64)])
def test_raw_maps_run_from_fine_to_coarse_for_any_multiple_of_32(model, tiny, height, width):
    raw_maps = model(images(height, width), training=False)
    strides = TINY_STRIDES if tiny else STRIDES
    assert [tuple(raw.shape) for raw in raw_maps] == [
        (2, height // stride, width // stride, 3, 85) for stride in strides
    ]
    assert all(raw.dtype == tf.float32 and np.isfinite(raw).all() for raw in raw_maps)


def test_an_untrained_network_finds_next_to_nothing(model):
    for raw in model(images(64, 64), training=True):
        confidences = tf.sigmoid(raw[..., 4]).numpy()
        assert 0.005 < np.median(confidences) < 0.009  # around sigmoid(-5) = 0.0067
        assert confidences.max() < 0.05
        others = np.delete(raw.numpy(), 4, axis=-1)  # no other has a bias
        assert abs(others.mean()) < 0.1 and others.std() < 1.0


def test_residual_blocks_start_as_the_identity(model, tiny):
    norms = [layer for layer in model.layers if layer.name.startswith("bn_")]
    muted = [layer for layer in norms if not layer.gamma.numpy().any()]
    assert len(muted) == (0 if tiny else 23)  # shortcuts of darknet's cfg/yolov3.cfg
    assert all(layer.gamma.numpy().all() for layer in norms if layer not in muted)
    for layer in [layer for layer in model.layers if layer.name.startswith("add")][:1]:
        inside = keras.Model(model.input, [layer.input[0], layer.output])
        before, after = inside(images(32, 32), training=True)
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_has_float32_weights_and_raw_maps(dtype):
    model = build_yolov3(3, tiny=True, dtype=dtype)
    assert model.get_layer("conv_0").compute_dtype == dtype.removeprefix("mixed_")
    assert all(weight.dtype == "float32" for weight in model.weights)
    assert all(raw.dtype == tf.float32 for raw in model(images(32, 32)))


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("change", [lambda model: model, for_training, fold])
def test_a_network_is_saved_and_loaded_by_keras(dtype, change, tmp_path):
    model = change(build_yolov3(3, tiny=True, dtype=dtype))
    model.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
    for ours, theirs in zip(loaded(images(64, 32)), model(images(64, 32)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_class_count_below_one_is_refused():
    with pytest.raises(ValueError, match="num_classes.*received 0"):
        build_yolov3(0)


# decode


def test_decode_by_hand():
    raw = np.zeros((2, 3, 4, 3, 7), np.float32)  # a grid of 3 rows and 4 columns, 2 classes
    raw[1, 2, 3, 1] = [math.log(3), -math.log(3), math.log(2), -math.log(4), 0, 100, -100]
    decoded = decode(raw, ANCHORS[1], 16).numpy()
    assert decoded.shape == raw.shape
    # The middle of row 1, column 2 with the third anchor's size.
    np.testing.assert_allclose(decoded[0, 1, 2, 2], [40, 24, 59, 119, 0.5, 0.5, 0.5], rtol=1e-6)
    # Row 2, column 3, anchor 62 x 45: sigmoid(log 3) = 3/4, sigmoid(-log 3) = 1/4.
    np.testing.assert_allclose(
        decoded[1, 2, 3, 1], [60, 36, 124, 11.25, 0.5, 1.0, 0.0], rtol=1e-5, atol=1e-30
    )


def test_decode_stays_in_its_cell_and_finite():
    for value in (-1e30, -1e4, 1e4, 1e30):
        decoded = decode(np.full((1, 2, 2, 3, 6), value, np.float32), ANCHORS[2], 32).numpy()
        assert np.isfinite(decoded).all()
        assert (decoded[..., 2:4] > 0).all()
        cells = np.array([[[0, 0], [1, 0]], [[0, 1], [1, 1]]])[:, :, np.newaxis]
        assert (
            (decoded[0, ..., :2] >= cells * 32) & (decoded[0, ..., :2] <= cells * 32 + 32)
        ).all()


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16], ids=lambda d: d.name)
def test_decode_computes_in_float32(dtype):
    raw = tf.cast(np.random.default_rng(0).normal(size=(1, 2, 2, 3, 6)), dtype)
    decoded = decode(raw, ANCHORS[0], 8)
    assert decoded.dtype == tf.float32
    np.testing.assert_array_equal(decoded, decode(tf.cast(raw, tf.float32), ANCHORS[0], 8))
