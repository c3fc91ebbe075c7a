"""Darknet weights: the format, what a file is taken for, and what is refused."""

import struct

import darknet_cfg
import numpy as np
import pytest

from yolov3.configs import TINY_ANCHORS, TINY_ANCHORS_DARKNET, Config
from yolov3.darknet import (
    COCO_NAMES,
    detect_network,
    load_darknet_weights,
    open_darknet,
    save_darknet_weights,
)
from yolov3.darknet_file import BACKBONE_FLOATS, CLASSIFIER_FLOATS
from yolov3.parts import backbone_layers, conv_layers
from yolov3.weights import named_variables, to_arrays
from yolov3.yolov3 import build_yolov3

HEADER = 20  # bytes
# As published, see model_data/README.md.
OFFICIAL_BYTES = {
    "yolov3": 248_007_048,
    "yolov3-tiny": 35_434_956,
    "darknet53.conv.74": 162_482_580,
}


@pytest.fixture(scope="module")
def full():
    return build_yolov3(80)


@pytest.fixture(scope="module")
def layers():
    """Weights of YOLOv3-tiny for 3 classes, per convolution the arrays in the order of the file."""
    return darknet_cfg.random_layers(tiny=True, num_classes=3, seed=0)


@pytest.fixture
def tiny():
    return build_yolov3(3, tiny=True)


@pytest.fixture
def whole_file(tmp_path, layers):
    darknet_cfg.write_weights(tmp_path / "whole.weights", layers)
    return tmp_path / "whole.weights"


def empty_file(path, floats):
    """Write a header and zeros; the file takes no room on the disk."""
    with open(path, "wb") as stream:
        stream.write(struct.pack("<3iq", 0, 2, 0, 0))
        stream.truncate(HEADER + 4 * floats)
    return path


def snapshot(model):
    return to_arrays(named_variables(model))


def unchanged(model, before):
    return all(np.array_equal(value, before[name]) for name, value in snapshot(model).items())


def floats_of(layers):
    return sum(array.size for layer in layers for array in layer)


@pytest.mark.parametrize("seen_bytes", [4, 8])
def test_loads_both_header_versions(tmp_path, tiny, layers, seen_bytes):
    path = tmp_path / "old.weights"
    darknet_cfg.write_weights(path, layers, seen_bytes)
    assert path.stat().st_size == 12 + seen_bytes + 4 * floats_of(layers)
    names = load_darknet_weights(tiny, path)
    assert names == [f"conv_{i}" for i in range(13)]
    weights = snapshot(tiny)
    beta, gamma, mean, variance, kernel = layers[3]
    np.testing.assert_array_equal(weights["bn_3/beta"], beta)
    np.testing.assert_array_equal(weights["bn_3/gamma"], gamma)
    np.testing.assert_array_equal(weights["bn_3/moving_mean"], mean)
    np.testing.assert_array_equal(weights["bn_3/moving_variance"], variance)
    assert weights["conv_3/kernel"][2, 0, 5, 7] == kernel[7, 5, 2, 0]  # HWIO from OIHW
    bias, kernel = layers[9]
    np.testing.assert_array_equal(weights["conv_9/bias"], bias)
    assert weights["conv_9/kernel"][0, 0, 500, 23] == kernel[23, 500, 0, 0]


def test_saved_file_has_the_numbers_that_were_loaded(tmp_path, tiny, whole_file):
    load_darknet_weights(tiny, whole_file)
    save_darknet_weights(tiny, tmp_path / "saved.weights")
    saved, original = (tmp_path / "saved.weights").read_bytes(), whole_file.read_bytes()
    assert saved[:12] == original[:12] == struct.pack("<3i", 0, 2, 0)
    assert saved[HEADER:] == original[HEADER:]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_saving_a_folded_network_is_refused(tmp_path):
    with pytest.raises(ValueError, match="batch normalisation"):
        save_darknet_weights(build_yolov3(3, tiny=True, folded=True), tmp_path / "folded.weights")
    assert not list(tmp_path.iterdir())


def test_official_sizes_are_those_of_the_networks(full):
    numbers = {conv.name: 0 for conv in conv_layers(full)}
    for name, variable in named_variables(full).items():
        numbers["conv_" + name.split("/")[0].split("_")[1]] += int(np.prod(variable.shape))
    assert HEADER + 4 * sum(numbers.values()) == OFFICIAL_BYTES["yolov3"]
    backbone = [conv.name for conv in backbone_layers(full)]
    assert backbone == [f"conv_{i}" for i in range(52)]
    assert (
        HEADER + 4 * sum(numbers[name] for name in backbone) == OFFICIAL_BYTES["darknet53.conv.74"]
    )
    tiny = build_yolov3(80, tiny=True)
    assert HEADER + 4 * tiny.count_params() == OFFICIAL_BYTES["yolov3-tiny"]


@pytest.mark.parametrize("tiny", [False, True])
@pytest.mark.parametrize("num_classes", [1, 7])
def test_network_is_told_from_the_size(tmp_path, tiny, num_classes):
    floats = build_yolov3(num_classes, tiny).count_params()
    assert detect_network(empty_file(tmp_path / "a.weights", floats)) == (tiny, num_classes)


@pytest.mark.parametrize("count", [7, 9])  # the backbone; yolov3-tiny.conv.15
def test_a_file_may_end_after_any_layer_before_the_first_output(tmp_path, tiny, layers, count):
    path = tmp_path / "tiny.conv"
    darknet_cfg.write_weights(path, layers[:count])
    before = snapshot(tiny)
    assert load_darknet_weights(tiny, path) == [f"conv_{i}" for i in range(count)]
    after = snapshot(tiny)
    np.testing.assert_array_equal(after[f"bn_{count - 1}/gamma"], layers[count - 1][1])
    for name in (f"conv_{count}/kernel", "conv_12/bias", "bn_11/moving_variance"):
        np.testing.assert_array_equal(after[name], before[name])


def test_darknet53_conv_74_fills_the_backbone(tmp_path, full):
    path = empty_file(tmp_path / "darknet53.conv.74", BACKBONE_FLOATS)
    assert path.stat().st_size == OFFICIAL_BYTES["darknet53.conv.74"]
    assert load_darknet_weights(full, path) == [f"conv_{i}" for i in range(52)]
    assert not full.get_layer("conv_51").kernel.numpy().any()  # the file is all zeros
    assert full.get_layer("conv_52").kernel.numpy().any()


def test_a_file_that_ends_after_an_output_is_refused(tmp_path, tiny, layers):
    darknet_cfg.write_weights(tmp_path / "a.weights", layers[:11])
    with pytest.raises(ValueError, match="broken off in conv_11$"):
        load_darknet_weights(tiny, tmp_path / "a.weights")


@pytest.mark.parametrize(
    ("floats", "seems"),
    [
        (61_570_957 + 80 * 5_385, "these look like YOLOv3 weights for 80 classes"),
        (8_673_934 + 80 * 2_310, "these look like YOLOv3-tiny weights for 80 classes"),
        (BACKBONE_FLOATS, "this looks like the backbone of YOLOv3 alone"),
        (CLASSIFIER_FLOATS, "this looks like Darknet-53 with its ImageNet classifier"),
        (8_680_864 + 5, "5 numbers too many"),
        (10_000_000, "1,319,136 numbers too many"),
        (8_680_864 - 1, "a file broken off in conv_12"),
        (500, "a file broken off in conv_1"),
    ],
)
def test_wrong_size_names_both_sizes_and_a_guess(tmp_path, tiny, floats, seems):
    path = empty_file(tmp_path / "a.weights", floats)
    before = snapshot(tiny)
    with pytest.raises(ValueError) as error:
        load_darknet_weights(tiny, path)
    text = str(error.value)
    assert text.startswith(
        f"{path}: expected YOLOv3-tiny weights for 3 classes, 34,723,476 bytes; "
    )
    assert f"received {HEADER + 4 * floats:,} bytes: {seems}" in text
    assert "\n" not in text
    assert unchanged(tiny, before)


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
def test_other_files_are_named(tmp_path, tiny, content, seems):
    path = tmp_path / "a.weights"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        load_darknet_weights(tiny, path)
    assert str(error.value).startswith(f"{path}: expected ")
    assert seems in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("where", ["missing.weights", "."])
def test_missing_file_or_folder(tmp_path, tiny, where):
    with pytest.raises(
        ValueError, match="expected Darknet weights; received (No such|Is a directory)"
    ):
        load_darknet_weights(tiny, tmp_path / where)


@pytest.mark.parametrize(("part", "value"), [(3, -0.1), (4, np.nan), (0, np.inf)])
def test_impossible_numbers_are_refused_and_nothing_is_assigned(
    tmp_path, tiny, layers, part, value
):
    damaged = [list(layer) for layer in layers]
    damaged[8][part] = damaged[8][part].copy()
    damaged[8][part].flat[3] = value
    darknet_cfg.write_weights(tmp_path / "a.weights", damaged)
    before = snapshot(tiny)
    with pytest.raises(ValueError, match="_8/.* holds impossible numbers"):
        load_darknet_weights(tiny, tmp_path / "a.weights")
    assert unchanged(tiny, before)


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


def test_open_gives_network_configuration_and_names(whole_file, layers, tmp_path):
    (tmp_path / "three.names").write_bytes(b"\xef\xbb\xbfcat\r\n\r\ndog\r\nbird\r\n\r\n")
    model, config, names = open_darknet(whole_file, tmp_path / "three.names")
    assert names == ["cat", "dog", "bird"]
    assert config.tiny and config.anchors == TINY_ANCHORS_DARKNET
    np.testing.assert_array_equal(model.get_layer("conv_12").bias.numpy(), layers[12][0])
    assert open_darknet(whole_file)[2] == ["0", "1", "2"]
    assert open_darknet(whole_file, tiny_anchors="scratch")[1].anchors == TINY_ANCHORS


def test_names_that_do_not_match_are_an_error_with_both_counts(whole_file):
    with pytest.raises(ValueError) as error:
        open_darknet(whole_file, COCO_NAMES)
    assert str(error.value) == (
        f"{COCO_NAMES}: expected 3 class names, for the 3 classes of {whole_file}; received 80"
    )


def test_eighty_classes_are_those_of_coco(tmp_path):
    names = open_darknet(empty_file(tmp_path / "a.weights", 8_673_934 + 80 * 2_310))[2]
    assert len(names) == 80
    assert (names[0], names[16], names[79]) == ("person", "dog", "toothbrush")


def test_training_from_scratch_uses_the_first_anchors():
    assert Config(tiny=True).anchors[0] == ((10, 14), (23, 27), (37, 58))
    assert Config(tiny=True, tiny_anchors="darknet").anchors[0] == ((23, 27), (37, 58), (81, 82))
    assert Config(tiny_anchors="darknet").anchors == Config().anchors
    with pytest.raises(ValueError, match="tiny_anchors: expected one of scratch, darknet"):
        Config(tiny=True, tiny_anchors="coco")
