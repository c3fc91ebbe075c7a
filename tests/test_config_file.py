"""A configuration as JSON: there and back, and what is refused."""

import dataclasses
import json

import pytest

from yolov3.config_file import config_from_json, config_to_json
from yolov3.configs import Config

OTHER = Config(tiny=True, train_input_scales=(0.5, 1), train_lr_init=0.1 + 0.2, train_classes="ü ñ")


@pytest.mark.parametrize("config", [Config(), OTHER], ids=["default", "other"])
def test_json_round_trip(tmp_path, config):
    path = tmp_path / "config.json"
    path.write_text(config_to_json(config), encoding="utf-8")
    assert config_from_json(path) == config
    assert len(path.read_text().splitlines()) >= len(dataclasses.fields(Config))


@pytest.mark.parametrize("text", ["", "[]", '["tiny"]', "3", "null", '{"tiny": }'])
def test_other_json_is_refused_by_name(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="config.json: expected the configuration of a run"):
        config_from_json(path)


def test_unknown_setting_is_named(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"tiny": True, "tinny": True}))
    with pytest.raises(ValueError, match=r"unknown settings \['tinny'\]"):
        config_from_json(path)
    with pytest.raises(ValueError, match="missing.json: expected the configuration"):
        config_from_json(tmp_path / "missing.json")
