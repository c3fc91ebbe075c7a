"""Tests of the configuration: its defaults and its requirements."""

import dataclasses
import json

import pytest

from yolov3.configs import OF_RECIPE, RECIPES, Config

AT_LEAST_0, FRACTION, NETWORK = "at least 0", "0 to 1", "for yolov3 3 scales of 3 widths"
BAD_VALUES = [
    ("train_input_size", [0, 400, -416, 4128], "a positive multiple of 32 up to 4096"),
    ("train_input_size", [416.0], "int"),
    ("bad_lines", ["ignore"], "one of error, skip"),
    ("precision", ["double"], "one of auto, float32"),
    ("recipe", ["photos"], "one of digits, images"),
    ("recipe", [[1]], "str"),
    ("transfer", ["heads"], "one of "),
    ("anchors", ["coco"], "one of yolov3, yolov3-tiny, yolov3-tiny-darknet"),
    ("anchors", ["yolov3-tiny", (((1, 2), (3, 4)),) * 3], NETWORK),
    ("anchors", [(((1, 2), (3, 4), last),) * 3 for last in ((5, 0), (5, 6, 7))], NETWORK),
    ("anchors", [5], "tuple"),
    ("tiny", [1], "yes or no"),
    ("freeze_epochs", [-1], AT_LEAST_0),
    ("train_epochs", [0], "more than 0"),
    ("train_epochs", ["5"], "float"),
    ("train_batch_size", [0], "at least 1"),
    ("train_batch_size", [True], "int"),
    ("train_lr_init", [0.0, float("inf")], "more than 0"),
    ("train_lr_end", [-1e-5], AT_LEAST_0),
    ("train_lr_end", [1.0], "0 to train_lr_init"),
    ("train_warmup_epochs", [-0.5], AT_LEAST_0),
    ("train_weight_decay", [float("nan")], AT_LEAST_0),
    ("train_average_decay", [1.0], "0 to below 1"),
    ("train_input_scales", [(), (0.5, 0.0), (0.5, 1.1)], "fractions above 0 up to 1"),
    ("train_input_scales", [("1",)], "a list of numbers"),
    ("train_classes", [None], "str"),
    ("train_annot_path", [""], "the path of a file"),
    ("seed", [-1, 2**32], "0 to 4294967295"),
    ("augment_scale", [-0.1, 3.1], "0 to 3"),
    ("augment_rotate", [-0.1], AT_LEAST_0),
    *[(f"augment_{name}", [-0.5, 1.01], FRACTION) for name in ("flip", "hue", "mosaic", "close")],
    ("augment_sizes", [(), (0.5, 0.0), (2.1,)], "numbers above 0 up to 2"),
    ("augment_min_area", [0.0, 1.01], "more than 0, up to 1"),
    *[(f"test_{name}_threshold", [-0.1, 1.2], FRACTION) for name in ("score", "iou")],
]


@pytest.mark.parametrize(("name", "values", "expected"), BAD_VALUES)
def test_bad_value_is_named(name, values, expected):
    for value in values:
        with pytest.raises(ValueError) as error:
            Config(**{name: value})
        assert str(error.value).startswith(f"{name}: expected {expected}")
        assert name == "anchors" or str(error.value).endswith(f"received {value!r}")


def test_the_last_rate_is_at_most_a_tenth_of_the_first_unless_given():
    assert Config().train_lr_end == Config(tiny=True).train_lr_end == 1e-4
    assert Config(train_lr_init=1e-4).train_lr_end == pytest.approx(1e-5)
    assert Config(train_lr_init=1e-4, train_lr_end=1e-4).train_lr_end == 1e-4


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
    assert (Config().train_epochs, Config().train_lr_init) == (7, 1.5e-3)
    assert (Config(tiny=True).train_epochs, Config(tiny=True).train_lr_init) == (15, 1e-3)
    chosen = Config(train_epochs=6, train_lr_init=0.5, tiny=True)
    assert (chosen.train_epochs, chosen.train_lr_init) == (6, 0.5)
    assert chosen.anchors == Config(tiny=True).anchors


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("tiny", [False, True])
def test_a_recipe_is_what_settings_are_unless_chosen(recipe, tiny):
    config = Config(recipe=recipe, tiny=tiny)
    for name, pairs in OF_RECIPE.items():
        assert getattr(config, name) == pairs[recipe][tiny]
    others = {f.name for f in dataclasses.fields(Config)} - {"recipe", *OF_RECIPE}
    assert all(getattr(config, name) == getattr(Config(tiny=tiny), name) for name in others)
    chosen = dict.fromkeys(("train_epochs", "augment_flip"), 0.25)
    kept = Config(**chosen, recipe=recipe, tiny=tiny)
    assert (kept.train_epochs, kept.augment_flip) == (0.25, 0.25)
    assert Config(recipe="images", augment_flip=0.0).augment_flip == 0


OTHER = Config(tiny=True, train_input_scales=(0.5, 1), train_lr_init=0.1 + 0.2, train_classes="ü ñ")


@pytest.mark.parametrize("config", [Config(), OTHER, Config(recipe="images")])
def test_json_round_trip(tmp_path, config):
    path = tmp_path / "config.json"
    path.write_text(config.to_json(), encoding="utf-8")
    assert Config.from_json(path) == config
    assert len(path.read_text().splitlines()) == len(dataclasses.fields(Config)) + 2
    assert json.loads(path.read_text())["anchors"][0][0] == [10, 13 + config.tiny]


UNREADABLE = dict.fromkeys(["", "[]", '["tiny"]', "3", "null", '{"tiny": }'], "config.json: ")
UNREADABLE['{"anchors": null, "tinny": true}'] = r"config.json: unknown settings \['tinny'\]"


@pytest.mark.parametrize("text", UNREADABLE)
def test_other_json_is_refused_by_name(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^{tmp_path}/{UNREADABLE[text]}") as error:
        Config.from_json(path)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="missing.json: "):
        Config.from_json(tmp_path / "missing.json")


def test_mosaics_go_on_to_the_end_of_a_run_that_ends_at_a_smaller_size():
    assert Config(train_input_scales=(0.5,)).augment_close == 0
    assert Config(train_input_scales=(0.5,), augment_close=0.2).augment_close == 0.2
    assert Config(train_input_scales=(0.5, 1.0)).augment_close == 0.33
