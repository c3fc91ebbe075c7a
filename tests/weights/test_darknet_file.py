"""Darknet weights files by their size: what a file is taken for, and how others are named."""

import os
import struct

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

from yolov3.darknet import detect_network, load_darknet_weights
from yolov3.weights.by_name import named_variables
from yolov3.weights.darknet_file import BACKBONE_FLOATS, CLASSIFIER_FLOATS
from yolov3.weights.parts import backbone_layers, conv_layers
from yolov3.yolov3 import build_yolov3


def test_official_sizes_are_those_of_the_networks(coco_yolov3):
    numbers = {conv.name: 0 for conv in conv_layers(coco_yolov3)}
    for name, variable in named_variables(coco_yolov3).items():
        numbers["conv_" + name.split("/")[0].split("_")[1]] += int(np.prod(variable.shape))
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
