"""Darknet weights: read, written, opened as a network, and what is refused."""

import os
import struct

import darknet_cfg
import numpy as np
import pytest
from darknet_weights import (
    HEADER,
    OFFICIAL_BYTES,
    empty_file,
    full_floats,
    tiny_floats,
)
from weight_changes import changed_names, snapshot

from yolov3.configs import TINY_ANCHORS, TINY_ANCHORS_DARKNET
from yolov3.darknet import (
    BACKBONE_FLOATS,
    CLASSIFIER_FLOATS,
    detect_network,
    load_darknet_weights,
    open_darknet,
    save_darknet_weights,
)
from yolov3.kernels.folding import fold
from yolov3.weights import backbone_layers, conv_layers, state_dict
from yolov3.yolov3 import build_yolov3


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
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


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
    assert path.stat().st_size == OFFICIAL_BYTES["darknet53.conv.74"]
    assert load_darknet_weights(coco_yolov3, path) == [f"conv_{i}" for i in range(52)]
    assert not coco_yolov3.get_layer("conv_51").kernel.numpy().any()  # the file is all zeros
    assert coco_yolov3.get_layer("conv_52").kernel.numpy().any()


def test_a_file_that_ends_after_an_output_is_refused(tmp_path, tiny_yolov3, layers):
    darknet_cfg.write_weights(tmp_path / "a.weights", layers[:11])
    with pytest.raises(ValueError, match="broken off in conv_11$"):
        load_darknet_weights(tiny_yolov3, tmp_path / "a.weights")


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


def test_open_gives_network_configuration_and_names(whole_file, layers):
    model, config, names = open_darknet(whole_file)
    assert names == ["0", "1", "2"]
    assert config.tiny and config.anchors == TINY_ANCHORS_DARKNET
    np.testing.assert_array_equal(model.get_layer("conv_12").bias.numpy(), layers[12][0])
    assert open_darknet(whole_file, anchors="yolov3-tiny")[1].anchors == TINY_ANCHORS


def test_eighty_classes_are_those_of_coco(tmp_path):
    names = open_darknet(empty_file(tmp_path / "a.weights", tiny_floats(80)))[2]
    assert len(names) == 80
    assert (names[0], names[16], names[79]) == ("person", "dog", "toothbrush")


def test_official_sizes_are_those_of_the_networks(coco_yolov3):
    numbers = {conv.name: 0 for conv in conv_layers(coco_yolov3)}
    for name, array in state_dict(coco_yolov3).items():
        numbers["conv_" + name.split("/")[0].split("_")[1]] += array.size
    assert sum(numbers.values()) == full_floats(80)
    assert HEADER + 4 * full_floats(80) == OFFICIAL_BYTES["yolov3"]
    backbone = [conv.name for conv in backbone_layers(coco_yolov3)]
    assert backbone == [f"conv_{i}" for i in range(52)]
    backbone_bytes = HEADER + 4 * sum(numbers[name] for name in backbone)
    assert backbone_bytes == OFFICIAL_BYTES["darknet53.conv.74"]
    assert build_yolov3(80, tiny=True).count_params() == tiny_floats(80)
    assert HEADER + 4 * tiny_floats(80) == OFFICIAL_BYTES["yolov3-tiny"]


@pytest.mark.parametrize("num_classes", [1, 7, 80])
def test_network_is_told_from_the_size(tmp_path, num_classes):
    for tiny, floats in ((False, full_floats(num_classes)), (True, tiny_floats(num_classes))):
        assert detect_network(empty_file(tmp_path / "a.weights", floats)) == (tiny, num_classes)


@pytest.mark.parametrize(
    ("floats", "seems"),
    [
        (full_floats(80), "these look like YOLOv3 weights for 80 classes"),
        (tiny_floats(80), "these look like YOLOv3-tiny weights for 80 classes"),
        (BACKBONE_FLOATS, "this looks like the backbone of YOLOv3 alone"),
        (CLASSIFIER_FLOATS, "this looks like Darknet-53 with its ImageNet classifier"),
        (tiny_floats(3) + 5, "5 numbers too many"),
        (10_000_000, "1,319,136 numbers too many"),
        (tiny_floats(3) - 1, "a file broken off in conv_12"),
        (500, "a file broken off in conv_1"),
    ],
)
def test_wrong_size_names_both_sizes_and_a_guess(tmp_path, tiny_yolov3, floats, seems):
    path = empty_file(tmp_path / "a.weights", floats)
    before = snapshot(tiny_yolov3)
    with pytest.raises(ValueError) as error:
        load_darknet_weights(tiny_yolov3, path)
    text = str(error.value)
    assert text.startswith(
        f"{path}: expected YOLOv3-tiny weights for 3 classes, 34,723,476 bytes; "
    )
    assert f"received {HEADER + 4 * floats:,} bytes: {seems}" in text
    assert "\n" not in text
    assert not changed_names(tiny_yolov3, before)


@pytest.mark.parametrize(
    ("content", "seems"),
    [
        (b"", "0 bytes: too short for a header"),
        (b"\0" * 11, "11 bytes: too short for a header"),
        (struct.pack("<3i", 0, 2, 0), "12 bytes: a damaged or broken off file"),
        (struct.pack("<3iq", 0, 2, 0, 0) + b"\0" * 9, "29 bytes: a damaged or broken off file"),
        (b"\n <!DOCTYPE html><html>" + b" " * 99, "an HTML or XML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "a Git LFS pointer"),
        (b"[net]\nbatch=1\nsubdivisions=1\nwidth=416\n", "a text"),
        (b"PK\x03\x04" + b"\0" * 40, "a zip archive"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 40, "an HDF5 file"),
        (np.float32([1.5, 2, 3, 4]).tobytes(), "its header holds no version of Darknet"),
    ],
)
def test_other_files_are_named(tmp_path, tiny_yolov3, content, seems):
    path = tmp_path / "a.weights"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        load_darknet_weights(tiny_yolov3, path)
    assert str(error.value).startswith(f"{path}: expected ")
    assert seems in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("where", ["missing.weights", "."])
def test_missing_file_or_folder(tmp_path, tiny_yolov3, where):
    with pytest.raises(ValueError, match="expected Darknet weights; received (No such|a folder)"):
        load_darknet_weights(tiny_yolov3, tmp_path / where)


def test_backbone_alone_is_no_network_to_detect_with(tmp_path):
    path = empty_file(tmp_path / "darknet53.conv.74", BACKBONE_FLOATS)
    with pytest.raises(
        ValueError, match="expected the weights of a whole .* the backbone of YOLOv3 alone"
    ):
        detect_network(path)


def test_broken_off_network_is_named_with_the_sizes_to_expect(tmp_path):
    path = empty_file(tmp_path / "yolov3.weights", 25_000_000)
    with pytest.raises(ValueError) as error:
        detect_network(path)
    assert str(error.value) == (
        f"{path}: expected the weights of a whole YOLOv3 (248,007,048 bytes for 80 classes) or "
        "YOLOv3-tiny (35,434,956 bytes for 80 classes); received 100,000,020 bytes: a file broken "
        "off, or of another network"
    )


def test_a_file_of_terabytes_is_judged_by_its_size(tmp_path, tiny_yolov3):
    path = empty_file(tmp_path / "a.weights", 2**38)  # 1.1 TB, which take no room on the disk
    with pytest.raises(ValueError, match="or of another network"):
        detect_network(path)
    with pytest.raises(ValueError, match="numbers too many"):
        load_darknet_weights(tiny_yolov3, path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path, tiny_yolov3):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ValueError, match=f"{path}: expected .*; received not a regular file"):
            load_darknet_weights(tiny_yolov3, path)
