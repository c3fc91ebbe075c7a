"""Darknet weights: read, written, opened as a network, and what is refused."""

import struct

import darknet_cfg
import keras
import numpy as np
import pytest
from darknet_weights import HEADER, OFFICIAL_BYTES, empty_file, full_floats, tiny_floats
from weight_changes import changed_names, snapshot

from yolov3.configs import TINY_ANCHORS, TINY_ANCHORS_DARKNET
from yolov3.darknet import (
    identify_network,
    load_darknet_weights,
    network_operations,
    open_darknet,
    save_darknet_weights,
)
from yolov3.kernels.folding import fold
from yolov3.weights import backbone_layers
from yolov3.yolov3 import build_yolov3

BACKBONE_FLOATS = (OFFICIAL_BYTES["darknet53.conv.74"] - HEADER) // 4


@pytest.fixture(scope="module")
def layers():
    """Weights of YOLOv3-tiny for 3 classes, per convolution the arrays in the order of the file."""
    return darknet_cfg.random_layers(tiny=True, num_classes=3, seed=0)


@pytest.fixture
def whole_file(tmp_path, layers):
    darknet_cfg.write_weights(tmp_path / "whole.weights", layers)
    return tmp_path / "whole.weights"


@pytest.mark.parametrize("seen_bytes", [4, 8])
def test_loads_both_header_versions(tmp_path, tiny_yolov3, layers, seen_bytes):
    path = tmp_path / "old.weights"
    darknet_cfg.write_weights(path, layers, seen_bytes)
    assert path.stat().st_size == 12 + seen_bytes + 4 * tiny_floats(3)
    names = load_darknet_weights(tiny_yolov3, path)
    assert names == [f"conv_{i}" for i in range(13)]
    weights = snapshot(tiny_yolov3)
    beta, gamma, mean, variance, kernel = layers[3]
    np.testing.assert_array_equal(weights["bn_3/beta"], beta)
    np.testing.assert_array_equal(weights["bn_3/gamma"], gamma)
    np.testing.assert_array_equal(weights["bn_3/moving_mean"], mean)
    np.testing.assert_array_equal(weights["bn_3/moving_variance"], variance)
    assert weights["conv_3/kernel"][2, 0, 5, 7] == kernel[7, 5, 2, 0]  # HWIO from OIHW
    bias, kernel = layers[9]
    np.testing.assert_array_equal(weights["conv_9/bias"], bias)
    assert weights["conv_9/kernel"][0, 0, 500, 23] == kernel[23, 500, 0, 0]


def test_saved_file_has_the_numbers_that_were_loaded(tmp_path, tiny_yolov3, whole_file):
    load_darknet_weights(tiny_yolov3, whole_file)
    save_darknet_weights(tiny_yolov3, tmp_path / "saved.weights")
    saved, original = (tmp_path / "saved.weights").read_bytes(), whole_file.read_bytes()
    assert saved[:12] == original[:12] == struct.pack("<3i", 0, 2, 0)
    assert saved[HEADER:] == original[HEADER:]


def test_saving_a_folded_network_is_refused(tmp_path):
    with pytest.raises(ValueError, match="batch normalisation"):
        save_darknet_weights(fold(build_yolov3(3, tiny=True)), tmp_path / "folded.weights")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("count", [7, 9])  # the backbone; yolov3-tiny.conv.15
def test_a_file_may_end_after_any_layer_before_the_first_output(
    tmp_path, tiny_yolov3, layers, count
):
    path = tmp_path / "tiny.conv"
    darknet_cfg.write_weights(path, layers[:count])
    before = snapshot(tiny_yolov3)
    assert load_darknet_weights(tiny_yolov3, path) == [f"conv_{i}" for i in range(count)]
    after = snapshot(tiny_yolov3)
    np.testing.assert_array_equal(after[f"bn_{count - 1}/gamma"], layers[count - 1][1])
    for name in (f"conv_{count}/kernel", "conv_12/bias", "bn_11/moving_variance"):
        np.testing.assert_array_equal(after[name], before[name])


def test_darknet53_conv_74_fills_the_backbone(tmp_path, coco_yolov3):
    path = empty_file(tmp_path / "darknet53.conv.74", BACKBONE_FLOATS)
    assert load_darknet_weights(coco_yolov3, path) == [f"conv_{i}" for i in range(52)]
    assert not coco_yolov3.get_layer("conv_51").kernel.numpy().any()  # the file is all zeros
    assert coco_yolov3.get_layer("conv_52").kernel.numpy().any()


@pytest.mark.parametrize(("part", "value"), [(3, -0.1), (4, np.nan), (0, np.inf)])
def test_impossible_numbers_are_refused_and_nothing_is_assigned(
    tmp_path, tiny_yolov3, layers, part, value
):
    damaged = [list(layer) for layer in layers]
    damaged[8][part] = damaged[8][part].copy()
    damaged[8][part].flat[3] = value
    darknet_cfg.write_weights(tmp_path / "a.weights", damaged)
    before = snapshot(tiny_yolov3)
    with pytest.raises(ValueError, match="_8/.* holds impossible numbers, 1 of "):
        load_darknet_weights(tiny_yolov3, tmp_path / "a.weights")
    assert not changed_names(tiny_yolov3, before)


def test_open_gives_network_configuration_and_names(whole_file, layers, tmp_path):
    model, config, names = open_darknet(whole_file)
    assert names == ["0", "1", "2"]
    coco_names = open_darknet(empty_file(tmp_path / "coco.weights", tiny_floats(80)))[2]
    assert (len(coco_names), coco_names[0], coco_names[79]) == (80, "person", "toothbrush")
    assert config.tiny and config.anchors == TINY_ANCHORS_DARKNET
    np.testing.assert_array_equal(model.get_layer("conv_12").bias.numpy(), layers[12][0])
    assert open_darknet(whole_file, anchors="yolov3-tiny")[1].anchors == TINY_ANCHORS


def test_official_sizes_are_those_of_the_networks(coco_yolov3):
    assert HEADER + 4 * coco_yolov3.count_params() == OFFICIAL_BYTES["yolov3"]
    tiny = build_yolov3(80, tiny=True, kernel_initializer="zeros")
    assert HEADER + 4 * tiny.count_params() == OFFICIAL_BYTES["yolov3-tiny"]
    names = [layer.name.replace("conv", "bn") for layer in backbone_layers(coco_yolov3)]
    assert names == [f"bn_{i}" for i in range(52)]
    backbone = backbone_layers(coco_yolov3) + [coco_yolov3.get_layer(name) for name in names]
    assert sum(layer.count_params() for layer in backbone) == BACKBONE_FLOATS


@pytest.mark.parametrize(("num_classes", "tiny"), [(1, True), (80, True), (80, False)])
def test_operations_are_those_of_the_convolutions(num_classes, tiny):
    model = build_yolov3(num_classes, tiny, kernel_initializer="zeros")
    convs = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    shapes = keras.Model(model.inputs, [layer.output for layer in convs])
    outputs = shapes.compute_output_spec(keras.KerasTensor((1, 64, 64, 3)))
    counts = [
        2 * output.shape[1] * output.shape[2] * layer.kernel.shape.num_elements()
        for layer, output in zip(convs, outputs, strict=True)
    ]
    assert network_operations(tiny, num_classes) * 64**2 == sum(counts)


@pytest.mark.parametrize("num_classes", [1, 7, 80])
def test_network_is_told_from_the_size(num_classes):
    assert identify_network(full_floats(num_classes)) == (False, num_classes)
    assert identify_network(tiny_floats(num_classes)) == (True, num_classes)


UNKNOWN = "{:,} numbers: a backbone alone, a file broken off, or another network"


@pytest.mark.parametrize(
    ("floats", "seems"),
    [
        (full_floats(80), "what look like YOLOv3 weights for 80 classes"),
        (tiny_floats(80), "what look like YOLOv3-tiny weights for 80 classes"),
        (BACKBONE_FLOATS, UNKNOWN),
        (tiny_floats(3) - 1, UNKNOWN),
        (tiny_floats(3) - 24, UNKNOWN),  # it ends after a bias
        (2**38, UNKNOWN),  # a terabyte, which takes no room on the disk
    ],
)
def test_wrong_size_names_both_sizes_and_a_guess(tmp_path, tiny_yolov3, floats, seems):
    path = empty_file(tmp_path / "a.weights", floats)
    before = snapshot(tiny_yolov3)
    with pytest.raises(ValueError) as error:
        load_darknet_weights(tiny_yolov3, path)
    assert str(error.value) == (
        f"{path}: expected YOLOv3-tiny weights for 3 classes, 34,723,476 bytes; "
        f"received {seems.format(floats)}"
    )
    assert not changed_names(tiny_yolov3, before)


@pytest.mark.parametrize("floats", [BACKBONE_FLOATS, 25_000_000, 2**38])
def test_a_part_of_a_network_is_none_to_detect_with(tmp_path, floats):
    path = empty_file(tmp_path / "a.weights", floats)
    with pytest.raises(ValueError, match="expected the weights of a complete .* numbers: a back"):
        open_darknet(path)


@pytest.mark.parametrize(
    ("content", "seems"),
    [
        (b"", "expected a whole file, 16 bytes and 4 for each number; received 0 bytes"),
        (struct.pack("<3i", 0, 2, 0), "received 12 bytes"),
        (struct.pack("<3iq", 0, 2, 0, 0) + b"\0" * 9, "received 29 bytes"),
        (b"<!DOCTYPE html><html>", "a file that starts with b'<!DOCTYPE ht'"),
        (b"PK\x03\x04" + b"\0" * 40, "a file that starts with"),
        (np.float32([1.5, 2, 3, 4]).tobytes(), "a file that starts with"),
    ],
)
def test_other_files_are_refused(tmp_path, tiny_yolov3, content, seems):
    path = tmp_path / "a.weights"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        load_darknet_weights(tiny_yolov3, path)
    assert str(error.value).startswith(f"{path}: expected ")
    assert seems in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("where", ["missing.weights", ".", "/dev/zero"])
def test_what_is_no_file(tmp_path, tiny_yolov3, where):
    kinds = "(No such|a folder|not a regular file)"
    with pytest.raises(ValueError, match=f"expected Darknet weights; received {kinds}"):
        load_darknet_weights(tiny_yolov3, tmp_path / where)
