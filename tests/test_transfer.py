"""Transfer of weights between networks of other class counts."""

import darknet_cfg
import numpy as np
import pytest
from weight_changes import changed_layers, snapshot

from yolov3.checkpoints import save_checkpoint
from yolov3.configs import TINY_ANCHORS, Config, read_anchors
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


@pytest.mark.parametrize(
    ("scope", "copied"),
    [("backbone", set(range(7))), ("all-but-heads", set(range(CONVS)) - {9, 12})],
)
def test_scopes_copy_their_layers_and_no_others(model, darknet_file, layers, scope, copied):
    before = snapshot(model)
    report = transfer_weights(model, darknet_file, scope=scope, anchors=TINY_ANCHORS)
    assert changed_layers(model, before) == copied
    after = snapshot(model)
    assert report.copied == [f"conv_{i}" for i in sorted(copied)]
    for i in copied:
        beta, gamma, mean, variance, kernel = layers[i]
        np.testing.assert_array_equal(after[f"bn_{i}/beta"], beta)
        np.testing.assert_array_equal(after[f"bn_{i}/moving_variance"], variance)
        np.testing.assert_array_equal(after[f"conv_{i}/kernel"], kernel.transpose(2, 3, 1, 0))


def test_all_copies_everything_of_the_same_classes(darknet_file, layers):
    model = build_yolov3(SOURCE_CLASSES, tiny=True)
    report = transfer_weights(model, darknet_file, scope="all", anchors=TINY_ANCHORS)
    assert report.copied == [f"conv_{i}" for i in range(CONVS)]
    np.testing.assert_array_equal(model.get_layer("conv_12").bias.numpy(), layers[12][0])


def test_all_of_other_classes_is_an_error_with_both_counts(model, darknet_file):
    before = snapshot(model)
    with pytest.raises(
        ValueError, match="expected weights for 3 classes.*received weights for 5 classes"
    ):
        transfer_weights(model, darknet_file, scope="all", anchors=TINY_ANCHORS)
    assert changed_layers(model, before) == set()


def test_heads_stay_even_where_they_would_fit(darknet_file):
    model = build_yolov3(SOURCE_CLASSES, tiny=True)
    before = snapshot(model)
    transfer_weights(model, darknet_file, scope="all-but-heads", anchors=TINY_ANCHORS)
    assert changed_layers(model, before) == set(range(CONVS)) - {9, 12}


def test_a_backbone_file_gives_what_it_has(model, tmp_path, layers):
    darknet_cfg.write_weights(tmp_path / "tiny.conv.15", layers[:9])
    assert (
        transfer_weights(
            model, tmp_path / "tiny.conv.15", scope="backbone", anchors=TINY_ANCHORS
        ).copied[-1]
        == "conv_6"
    )
    report = transfer_weights(
        model, tmp_path / "tiny.conv.15", scope="all-but-heads", anchors=TINY_ANCHORS
    )
    assert report.copied[-1] == "conv_8"
    assert report.rows[10].status == "skipped: not in the file"
    with pytest.raises(ValueError, match="received a backbone without classes"):
        transfer_weights(model, tmp_path / "tiny.conv.15", scope="all", anchors=TINY_ANCHORS)


def test_the_table_joins_neighbours_of_one_status(model, darknet_file):
    assert str(
        transfer_weights(model, darknet_file, scope="all-but-heads", anchors=TINY_ANCHORS)
    ) == (
        f"weights of {darknet_file} (all-but-heads):\n"
        "  conv_0 to conv_8      copied\n"
        "  conv_9                skipped: output convolution\n"
        "  conv_10 to conv_11    copied\n"
        "  conv_12               skipped: output convolution"
    )


@pytest.mark.parametrize("scope", ["backbone", "all-but-heads"])
def test_another_network_is_an_error(model, tmp_path, scope):
    path = tmp_path / "full.weights"
    with open(path, "wb") as stream:
        stream.write(b"\0\0\0\0\2\0\0\0" + b"\0" * 12)
        stream.truncate(248_007_048)
    with pytest.raises(
        ValueError, match="expected weights of YOLOv3-tiny; received those of YOLOv3$"
    ):
        transfer_weights(model, path, scope=scope, anchors=TINY_ANCHORS)


def test_unknown_scope_and_missing_source(model, darknet_file, tmp_path):
    with pytest.raises(ValueError, match="scope: expected one of backbone, all-but-heads, all"):
        transfer_weights(model, darknet_file, scope="head", anchors=TINY_ANCHORS)
    with pytest.raises(ValueError, match="nothing.weights: no such"):
        transfer_weights(model, tmp_path / "nothing.weights", scope="all", anchors=TINY_ANCHORS)


def test_checkpoints_are_sources_too(model, tmp_path):
    source = build_yolov3(SOURCE_CLASSES, tiny=True)
    state = {"class_names": list("abcde"), "step": 7, "epoch": 1, "metrics": {}, "best_mAP": -1.0}
    state |= {"trained_on": "1f", "validated_on": "2e"}
    state |= {"input_size": 416, "best_size": 416}
    save_checkpoint(tmp_path / "run", "best", Config(tiny=True), state, snapshot(source))
    before = snapshot(model)
    report = transfer_weights(model, tmp_path, scope="all-but-heads", anchors=TINY_ANCHORS)
    assert report.copied == [f"conv_{i}" for i in range(CONVS) if i not in (9, 12)]
    after = snapshot(model)
    np.testing.assert_array_equal(after["conv_8/kernel"], snapshot(source)["conv_8/kernel"])
    np.testing.assert_array_equal(after["conv_9/kernel"], before["conv_9/kernel"])
    with pytest.raises(ValueError, match="received weights for 5 classes"):
        transfer_weights(model, tmp_path, scope="all", anchors=TINY_ANCHORS)
    with pytest.raises(
        ValueError, match="expected weights of YOLOv3; received those of YOLOv3-tiny"
    ):
        transfer_weights(build_yolov3(3), tmp_path, scope="backbone", anchors=TINY_ANCHORS)


def test_a_checkpoint_with_other_anchors_gives_its_backbone_alone(model, tmp_path):
    arrays, config = snapshot(model), Config(tiny=True, anchors="yolov3-tiny-darknet")
    state = {"class_names": ["a"], "step": 1, "epoch": 0, "metrics": {}, "best_mAP": -1.0}
    state |= {"trained_on": "1f", "validated_on": "2e"}
    state |= {"input_size": 64, "best_size": 64}
    folder = save_checkpoint(tmp_path / "run", "best", config, state, arrays)
    for scope in ("all-but-heads", "all"):
        with pytest.raises(ValueError, match=f"{folder}: trained with other anchors .*config.json"):
            transfer_weights(model, tmp_path, scope=scope, anchors=TINY_ANCHORS)
    transfer_weights(model, tmp_path, scope="backbone", anchors=TINY_ANCHORS)
    theirs = read_anchors(folder / "config.json")  # the way out that the message names
    transfer_weights(model, tmp_path, scope="all-but-heads", anchors=theirs)


def test_checkpoint_that_lacks_a_weight_is_an_error(model, tmp_path):
    arrays = snapshot(model)
    del arrays["bn_3/gamma"]
    state = {"class_names": ["a"], "step": 1, "epoch": 0, "metrics": {}, "best_mAP": -1.0}
    state |= {"trained_on": "1f", "validated_on": "2e"}
    state |= {"input_size": 64, "best_size": 64}
    folder = save_checkpoint(tmp_path, "best", Config(tiny=True), state, arrays)
    with pytest.raises(ValueError, match=r"missing \['bn_3/gamma'\]"):
        transfer_weights(model, folder, scope="backbone", anchors=TINY_ANCHORS)
