"""Tests of the configuration: its defaults and its requirements."""

import dataclasses
import json

import pytest

from yolov3 import configs
from yolov3.configs import Config, read_anchors

BAD_VALUES = [
    ("train_input_size", 0, "a positive multiple of 32"),
    ("train_input_size", 400, "a positive multiple of 32"),
    ("train_input_size", -416, "a positive multiple of 32"),
    ("train_input_size", 4128, "a positive multiple of 32 up to 4096"),
    ("train_input_size", 416.0, "int"),
    ("bad_lines", "ignore", "one of error, skip"),
    ("precision", "double", "one of auto, float32"),
    ("anchors", "coco", "one of yolov3, yolov3-tiny, yolov3-tiny-darknet"),
    ("anchors", "yolov3-tiny", "for yolov3 3 scales of 3 widths"),
    ("anchors", (((1, 2), (3, 4)),) * 3, "for yolov3 3 scales of 3 widths"),
    ("anchors", (((1, 2), (3, 4), (5, 0)),) * 3, "for yolov3 3 scales of 3 widths"),
    ("anchors", (((1, 2), (3, 4), (5, 6, 7)),) * 3, "for yolov3 3 scales of 3 widths"),
    ("anchors", 5, "tuple"),
    ("tiny", 1, "bool"),
    ("transfer", "heads", "one of "),
    ("freeze_epochs", -1, "at least 0"),
    ("train_epochs", 0, "at least 1"),
    ("train_epochs", "5", "int"),
    ("train_batch_size", 0, "at least 1"),
    ("train_batch_size", True, "int"),
    ("train_lr_init", 0.0, "more than 0"),
    ("train_lr_init", float("inf"), "more than 0"),
    ("train_lr_end", -1e-5, "at least 0"),
    ("train_lr_end", 1.0, "0 to train_lr_init"),
    ("train_warmup_epochs", -0.5, "at least 0"),
    ("train_weight_decay", float("nan"), "at least 0"),
    ("train_average_decay", 1.0, "0 to below 1"),
    ("train_input_scales", (), "fractions above 0 up to 1"),
    ("train_input_scales", (0.5, 0.0), "fractions above 0 up to 1"),
    ("train_input_scales", (0.5, 1.1), "fractions above 0 up to 1"),
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
    if name != "anchors":
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
    assert Config(tiny=True, anchors="yolov3-tiny-darknet").anchors[0][0] == (23, 27)
    own = [[[1, 2], [3, 4], [5, 6.5]]] * 2
    assert Config(tiny=True, anchors=own).anchors == (((1, 2), (3, 4), (5, 6.5)),) * 2
    assert (Config().network, Config(tiny=True).network) == ("yolov3", "yolov3-tiny")


def test_what_depends_on_the_network_follows_it_unless_it_was_chosen():
    assert dataclasses.replace(Config(), tiny=True) == Config(tiny=True)
    assert dataclasses.replace(Config(tiny=True), tiny=False) == Config()
    chosen = dataclasses.replace(Config(train_epochs=6, train_lr_init=0.5), tiny=True)
    assert (chosen.train_epochs, chosen.train_lr_init) == (6, 0.5)
    assert chosen.anchors == Config(tiny=True).anchors
    lower = dataclasses.replace(Config(), train_lr_init=1e-4)
    assert lower == Config(train_lr_init=1e-4) and lower.train_lr_end == 1e-5


OTHER = Config(tiny=True, train_input_scales=(0.5, 1), train_lr_init=0.1 + 0.2, train_classes="ü ñ")


@pytest.mark.parametrize("config", [Config(), OTHER], ids=["default", "other"])
def test_json_round_trip(tmp_path, config):
    path = tmp_path / "config.json"
    path.write_text(config.to_json(), encoding="utf-8")
    assert Config.from_json(path) == config
    assert len(path.read_text().splitlines()) == len(dataclasses.fields(Config)) + 2
    assert json.loads(path.read_text())["anchors"][0][0] == [10, 13 + config.tiny]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (text, "config.json: no usable configuration: ")
        for text in ("", "[]", '["tiny"]', "3", "null", '{"tiny": }')
    ]
    + [
        ('{"anchors": null, "tinny": true}', r"unknown settings \['tinny'\]"),
        ('{"tiny": true}', r"no anchors \(written before they were stored\)$"),
    ],
)
def test_other_json_is_refused_by_name(tmp_path, text, message):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        Config.from_json(path)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="missing.json: no usable configuration"):
        Config.from_json(tmp_path / "missing.json")


def test_anchors_are_read_from_a_preset_a_file_or_a_checkpoint_s_configuration(tmp_path):
    path = tmp_path / "anchors.json"
    assert read_anchors("yolov3-tiny-darknet")[0] == ((23, 27), (37, 58), (81, 82))
    path.write_text('{"anchors": [[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 9], [10, 11.5]]]}')
    assert read_anchors(path) == (((1, 2), (3, 4), (5, 6)), ((7, 8), (9, 9), (10, 11.5)))
    path.write_text(OTHER.to_json(), encoding="utf-8")
    assert read_anchors(path) == OTHER.anchors
    for text in ('{"anchors": [[1, 2], [3, 4]]}', "{}", '{"anchors": "yolov3"}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="anchors.json: expected anchors as"):
            read_anchors(path)
    with pytest.raises(ValueError, match="anchors: expected one of yolov3, .*; received coco"):
        read_anchors("coco")
