"""Transfer of weights between networks of other class counts."""

import darknet_cfg
import numpy as np
import pytest
from darknet_weights import empty_file, full_floats
from weight_changes import changed_layers, snapshot

from yolov3.checkpoints import save_checkpoint
from yolov3.cli.flags import read_anchors
from yolov3.configs import TINY_ANCHORS, Config
from yolov3.transfer import transfer_weights
from yolov3.yolov3 import build_yolov3

CONVS = 13  # of YOLOv3-tiny
SOURCE_CLASSES = 5


@pytest.fixture(scope="module")
def layers():
    return darknet_cfg.random_layers(tiny=True, num_classes=SOURCE_CLASSES, seed=0)


@pytest.fixture(scope="module")
def darknet_file(tmp_path_factory, layers):
    path = tmp_path_factory.mktemp("weights") / "five.weights"
    darknet_cfg.write_weights(path, layers)
    return path


@pytest.fixture
def model(tiny_yolov3):
    return tiny_yolov3


def transfer(model, source, scope, anchors=TINY_ANCHORS):
    """Transfer; return the numbers of the layers that changed, and the line."""
    before = snapshot(model)
    line = transfer_weights(model, source, scope=scope, anchors=anchors)
    return changed_layers(model, before), line


def save(folder, model, class_names, config=None, without=()):
    """Save a checkpoint of a model; return its folder."""
    state = {"class_names": class_names, "step": 7, "epoch": 1, "metrics": {}, "best_mAP": -1.0}
    state |= {"trained_on": "1f", "validated_on": "2e", "input_size": 416, "best_size": 416}
    arrays = {name: array for name, array in snapshot(model).items() if name not in without}
    return save_checkpoint(folder, "best", config or Config(tiny=True), state, arrays)


@pytest.mark.parametrize(
    ("scope", "copied"),
    [("backbone", set(range(7))), ("all-but-heads", set(range(CONVS)) - {9, 12})],
)
def test_scopes_copy_their_layers_and_no_others(model, darknet_file, layers, scope, copied):
    assert transfer(model, darknet_file, scope)[0] == copied
    after = snapshot(model)
    for i in copied:
        beta, gamma, mean, variance, kernel = layers[i]
        np.testing.assert_array_equal(after[f"bn_{i}/beta"], beta)
        np.testing.assert_array_equal(after[f"bn_{i}/moving_variance"], variance)
        np.testing.assert_array_equal(after[f"conv_{i}/kernel"], kernel.transpose(2, 3, 1, 0))


def test_of_the_same_classes_the_heads_are_copied_with_all_alone(darknet_file, layers):
    model = build_yolov3(SOURCE_CLASSES, tiny=True)
    assert transfer(model, darknet_file, "all-but-heads")[0] == set(range(CONVS)) - {9, 12}
    assert transfer(model, darknet_file, "all")[0] == {9, 12}  # the others are the same already
    np.testing.assert_array_equal(model.get_layer("conv_12").bias.numpy(), layers[12][0])


def test_all_of_other_classes_is_an_error_with_both_counts(model, darknet_file):
    before = snapshot(model)
    with pytest.raises(ValueError, match="weights for 3 classes.*received those for 5"):
        transfer(model, darknet_file, "all")
    assert changed_layers(model, before) == set()


def test_a_backbone_file_gives_what_it_has(model, tmp_path, layers):
    path = tmp_path / "tiny.conv.15"
    darknet_cfg.write_weights(path, layers[:9])
    assert transfer(model, path, "backbone")[0] == set(range(7))
    copied, line = transfer(model, path, "all-but-heads")
    assert copied == {7, 8}
    assert line.endswith(
        "9 of 13 convolutions copied; left as they were: "
        + ", ".join(f"conv_{index}" for index in range(9, CONVS))
    )
    with pytest.raises(ValueError, match="received those for none"):
        transfer(model, path, "all")


def test_the_layers_that_are_not_copied_are_named(model, darknet_file):
    assert transfer(model, darknet_file, "all-but-heads")[1] == (
        f"weights of {darknet_file} (all-but-heads): 11 of 13 convolutions copied; "
        "left as they were: conv_9, conv_12"
    )


def test_another_network_is_an_error(model, tmp_path):
    path = empty_file(tmp_path / "full.weights", full_floats(80))
    with pytest.raises(ValueError, match="expected YOLOv3-tiny .*; received .* look like YOLOv3 w"):
        transfer(model, path, "backbone")
    save(tmp_path / "run", model, list("abc"))
    with pytest.raises(ValueError, match="of YOLOv3; received those of YOLOv3-tiny"):
        transfer(build_yolov3(3, kernel_initializer="zeros"), tmp_path, "backbone")


def test_checkpoints_are_sources_too(model, tmp_path):
    source = build_yolov3(SOURCE_CLASSES, tiny=True)
    save(tmp_path / "run", source, list("abcde"))
    transfer(model, tmp_path, "all-but-heads")
    wanted, after = snapshot(source), snapshot(model)
    for name in ("conv_8/kernel", "conv_11/kernel"):
        np.testing.assert_array_equal(after[name], wanted[name])
    with pytest.raises(ValueError, match="received those for 5"):
        transfer(model, tmp_path, "all")


def test_a_checkpoint_with_other_anchors_gives_its_backbone_alone(model, tmp_path):
    folder = save(tmp_path, model, ["a"], Config(tiny=True, anchors="yolov3-tiny-darknet"))
    for scope in ("all-but-heads", "all"):
        with pytest.raises(ValueError, match=f"{folder}: trained with other anchors .*config.json"):
            transfer(model, tmp_path, scope)
    transfer(model, tmp_path, "backbone")
    theirs = read_anchors(folder / "config.json")  # the way out that the message names
    transfer(model, tmp_path, "all-but-heads", theirs)


def test_a_source_that_is_missing_or_lacks_a_weight(model, tmp_path):
    with pytest.raises(ValueError, match="nothing.weights: no such"):
        transfer(model, tmp_path / "nothing.weights", "all")
    folder = save(tmp_path, model, ["a"], without=["bn_3/gamma"])
    with pytest.raises(ValueError, match=r"missing \['bn_3/gamma'\]"):
        transfer(model, folder, "backbone")
