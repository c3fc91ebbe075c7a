"""Tests of what a detector is made from: checkpoints, folders of them, Darknet weights."""

import numpy as np
import pytest
from random_network import SIZE, random_images, random_network

from yolov3.checkpoints import find_checkpoint, save_checkpoint
from yolov3.configs import Config
from yolov3.darknet import save_darknet_weights
from yolov3.detection import Detector
from yolov3.weights import state_dict

BEST = {"best_threshold": 0.41, "F1": 0.934}

BEST = {"best_threshold": 0.41, "F1": 0.934}


@pytest.fixture(scope="module")
def model():
    return random_network()


@pytest.fixture(scope="module")
def detector(model):
    return Detector(model, input_size=SIZE, score_threshold=0.001, precision="float32")


def save(folder, weights, class_names=("cat", "dog"), config=None, metrics=None):
    state = {"class_names": list(class_names), "step": 5, "epoch": 1, "metrics": metrics or {}}
    state |= {"input_size": SIZE, "best_mAP": 0.5, "best_size": SIZE}
    state |= {"trained_on": "1f", "validated_on": "2e"}
    config = config or Config(tiny=True, test_score_threshold=0.002, test_iou_threshold=0.4)
    return save_checkpoint(folder, "best", config, state, weights)


@pytest.fixture(scope="module")
def checkpoints(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    save(folder / "run", state_dict(model))
    return folder


@pytest.fixture(scope="module")
def images():
    return random_images()


def test_checkpoint_folder_is_a_source(checkpoints, detector, images):
    ours = Detector(checkpoints, score_threshold=0.001, iou_threshold=0.45, precision="float32")
    for our, their in zip(ours(images[0]), detector(images[0]), strict=True):
        np.testing.assert_array_equal(our, their)
    assert ours.class_names == ["cat", "dog"]
    assert str(checkpoints / "run" / "best-000005") in ours.description
    assert "yolov3-tiny" in ours.description and "64x64, float32" in ours.description


def test_settings_are_those_of_the_checkpoint_unless_given(checkpoints):
    detector = Detector(find_checkpoint(checkpoints), precision="float32")
    assert detector.input_hw == (SIZE, SIZE)  # that of the weights, not the configuration's 416
    assert (detector.score_threshold, detector.iou_threshold) == (0.002, 0.4)
    other = Detector(
        checkpoints, input_size=96, score_threshold=0.0, iou_threshold=1.0, precision="float32"
    )
    assert (other.input_hw, other.score_threshold, other.iou_threshold) == ((96, 96), 0.0, 1.0)


@pytest.mark.parametrize(
    ("metrics", "settings", "given", "threshold", "why"),
    [
        (
            {"best_threshold": 0.41, "F1": 0.934},
            {},
            None,
            0.41,
            "0.41, the best of the validation (F1 0.93)",
        ),
        ({"best_threshold": 0.41, "F1": 0.934}, {}, 0.2, 0.2, "0.2"),
        ({"best_threshold": 0.41, "F1": 0.934}, {"test_score_threshold": 0.6}, None, 0.6, "0.6"),
        ({"best_threshold": 0.41, "F1": 0.934}, {"test_score_threshold": 0.3}, None, 0.3, "0.3"),
        ({"mAP": 0.5}, {}, None, 0.3, "0.3"),  # older checkpoints, and where nothing was right
        ({}, {"test_score_threshold": 0.6}, None, 0.6, "0.6"),
    ],
)
def test_the_score_threshold_is_the_best_of_the_validation_unless_told_otherwise(
    model, tmp_path, metrics, settings, given, threshold, why
):
    save(tmp_path, state_dict(model), config=Config(tiny=True, **settings), metrics=metrics)
    detector = Detector(tmp_path, score_threshold=given, precision="float32")
    assert detector.score_threshold == threshold
    assert detector.threshold_note == f"score threshold {why}"


def test_other_files_and_folders_are_no_sources(tmp_path):
    with pytest.raises(ValueError, match="no checkpoint in this folder"):
        Detector(tmp_path)
    path = tmp_path / "notes.weights"
    path.write_text("not weights\n" * 100)
    with pytest.raises(ValueError, match="notes.weights"):
        Detector(path)


@pytest.mark.parametrize("kind", ["model", "weights", "checkpoint"])
def test_names_are_those_given_whatever_the_source(model, checkpoints, tmp_path, kind):
    save_darknet_weights(model, tmp_path / "x.weights")
    source = {"model": model, "weights": tmp_path / "x.weights", "checkpoint": checkpoints}[kind]
    names = tmp_path / "two.names"
    names.write_text("one\ntwo\n")
    assert Detector(source, names=names).class_names == ["one", "two"]
    assert Detector(source, names=["a", "b"]).class_names == ["a", "b"]
    names.write_text("one\n")
    with pytest.raises(ValueError, match="two.names: expected 2 class names.*received 1"):
        Detector(source, names=names)


def test_anchors_of_a_model_and_of_darknet_weights_can_be_given(
    model, checkpoints, images, tmp_path
):
    path = tmp_path / "own.weights"
    save_darknet_weights(model, path)
    settings = {"input_size": SIZE, "score_threshold": 0.001, "precision": "float32"}
    own = Detector(model, **settings), Detector(path, anchors="yolov3-tiny", **settings)
    official = (
        Detector(model, anchors="yolov3-tiny-darknet", **settings),
        Detector(path, **settings),
    )
    assert own[0].anchors == own[1].anchors != official[0].anchors == official[1].anchors
    for from_model, from_file in (own, official):
        for ours, theirs in zip(from_model(images[0]), from_file(images[0]), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="anchors: .* has its own, with which it was trained"):
        Detector(checkpoints, anchors="yolov3-tiny")


def test_a_checkpoint_of_another_network_is_refused(model, tmp_path):
    wrong = {
        "for 3 classes; received 8,678,554 numbers": (["a", "b", "c"], Config(tiny=True)),
        "weights of YOLOv3 for 2 classes; received": (["a", "b"], Config()),
    }
    for number, (message, (class_names, config)) in enumerate(wrong.items()):
        folder = save(tmp_path / str(number), state_dict(model), class_names, config)
        with pytest.raises(ValueError, match=f"{folder}: expected .*{message}"):
            Detector(folder)
    renamed = {name.replace("conv_3/", "conv_99/"): x for name, x in state_dict(model).items()}
    with pytest.raises(ValueError, match=r"missing \['conv_3/kernel'\]"):
        Detector(save(tmp_path / "renamed", renamed))
