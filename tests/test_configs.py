"""Tests of the configuration: its defaults and its requirements."""

import dataclasses

import pytest

from yolov3 import configs
from yolov3.configs import Config

BAD_VALUES = [
    ("train_input_size", 0, "a positive multiple of 32"),
    ("train_input_size", 400, "a positive multiple of 32"),
    ("train_input_size", -416, "a positive multiple of 32"),
    ("train_input_size", 4128, "a positive multiple of 32 up to 4096"),
    ("train_input_size", 416.0, "int"),
    ("bad_lines", "ignore", "one of error, skip"),
    ("precision", "double", "one of auto, float32"),
    ("tiny_anchors", "coco", "one of scratch, darknet"),
    ("tiny", 1, "bool"),
    ("transfer", "heads", "one of "),
    ("freeze_epochs", -1, "at least 0"),
    ("train_epochs", 0, "at least 1"),
    ("train_epochs", "5", "int"),
    ("train_batch_size", 0, "at least 1"),
    ("train_batch_size", True, "int"),
    ("train_lr_init", 0.0, "more than 0"),
    ("train_lr_init", float("inf"), "more than 0"),
    ("train_lr_end", -1e-5, "0 to train_lr_init"),
    ("train_lr_end", 1.0, "0 to train_lr_init"),
    ("train_warmup_epochs", -0.5, "at least 0"),
    ("train_weight_decay", float("nan"), "at least 0"),
    ("train_average_decay", 1.0, "0 to below 1"),
    ("train_input_scales", (), "shares above 0 up to 1"),
    ("train_input_scales", (0.5, 0.0), "shares above 0 up to 1"),
    ("train_input_scales", (0.5, 1.1), "shares above 0 up to 1"),
    ("train_input_scales", ("1",), "tuple"),
    ("train_classes", None, "str"),
    ("train_classes", "", "the path of a file"),
    ("train_annot_path", "", "the path of a file"),
    ("seed", -1, "0 to 4294967295"),
    ("seed", 2**32, "0 to 4294967295"),
    ("augment_scale", -0.1, "at least 0"),
    ("augment_flip", 1.5, "0 to 1"),
    ("augment_crop", -0.5, "0 to 1"),
    ("augment_translate", 2.0, "0 to 1"),
    ("augment_color", 1.01, "0 to 1"),
    ("test_score_threshold", 1.2, "0 to 1"),
    ("test_iou_threshold", -0.1, "0 to 1"),
]


@pytest.mark.parametrize(("name", "value", "expected"), BAD_VALUES)
def test_bad_value_is_named(name, value, expected):
    with pytest.raises(ValueError) as error:
        Config(**{name: value})
    message = str(error.value)
    assert message.startswith(f"{name}: expected {expected}")
    assert message.endswith(f"received {value!r}")


@pytest.mark.parametrize(
    ("settings", "end"),
    [
        ({}, 1e-4),
        ({"tiny": True}, 1e-4),
        ({"train_lr_init": 1e-4}, 1e-5),
        ({"train_lr_init": 1e-4, "train_lr_end": 1e-4}, 1e-4),
    ],
)
def test_the_last_rate_is_at_most_a_tenth_of_the_first(settings, end):
    assert Config(**settings).train_lr_end == pytest.approx(end)


def test_epochs_and_learning_rate_depend_on_the_network_unless_given():
    assert Config().train_epochs == configs.EPOCHS
    assert Config(tiny=True).train_epochs == configs.TINY_EPOCHS
    assert Config(tiny=True, train_epochs=3).train_epochs == 3
    assert Config().train_lr_init == 1.5e-3 and Config(tiny=True).train_lr_init == 1e-3
    assert Config(tiny=True, train_lr_init=0.5).train_lr_init == 0.5


def test_anchors_and_strides():
    assert Config().anchors[2] == ((116, 90), (156, 198), (373, 326))
    assert Config().strides == (8, 16, 32)
    assert Config(tiny=True).anchors[0] == ((10, 14), (23, 27), (37, 58))
    assert Config(tiny=True).strides == (16, 32)
    assert Config(tiny=True, tiny_anchors="darknet").anchors[0][0] == (23, 27)
    assert (Config().network, Config(tiny=True).network) == ("yolov3", "yolov3-tiny")


def test_nothing_changes_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().tiny = True
