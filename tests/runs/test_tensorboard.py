"""The TensorBoard log of a run, as TensorBoard's own reader and plugins see it."""

import json
import re
import time
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from small_training import NAMES, events_of, read_log
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS

from yolov3.annotations import Record
from yolov3.configs import Config
from yolov3.metrics import match_detections, score_curves
from yolov3.runs.tensorboard import (
    DESCRIPTIONS,
    TensorBoardLog,
    pr_curves,
    settings_table,
)
from yolov3.yolov3 import build_yolov3

CONFIG = Config(tiny=True, seed=7, train_classes="a|b.names")
TAGS = ["PR/all classes", "PR_of_class/a", "PR_of_class/c"]
IMAGES = [np.full((2, 3, 3), (255, 0, 0), np.uint8), np.zeros((5, 4, 3), np.uint8)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Log a run that was resumed after its first step."""
    folder = tmp_path_factory.mktemp("log")
    network = build_yolov3(len(NAMES), tiny=True, kernel_initializer="zeros")
    for step in (1, 2):
        log = TensorBoardLog(folder, step - 1)
        if step == 1:
            log.start(step, CONFIG, NAMES, network)
        log.scalars(step, {tag: step for tag in DESCRIPTIONS if tag.startswith(("loss", "mAP"))})
        log.images(step, "validate/detections", IMAGES)
        log.close()
    log = TensorBoardLog(folder, 2)
    log.end(2, True)
    log.close()
    return folder


@pytest.fixture(scope="module")
def log(folder):
    return read_log(folder)


def text_of(log, tag):
    return tf.make_ndarray(log.Tensors(tag)[0].tensor_proto).item()


def test_every_value_is_there_and_its_tag_is_described(folder, log):
    events = events_of(folder)
    assert [(step, value) for tag, step, value in events if tag == "mAP/mAP"] == [(1, 1), (2, 2)]
    for tag in {tag for tag, *_ in events if tag in DESCRIPTIONS}:
        assert log.SummaryMetadata(tag).summary_description == DESCRIPTIONS[tag]


def test_all_that_was_logged_is_in_the_file_once_it_is_flushed_each_with_its_time(tmp_path):
    log, times = TensorBoardLog(tmp_path, 0), [time.time()]
    for step in range(1, 24):
        log.scalars(step, {"lr": step})
        times.append(time.time())
    log.flush()
    events = read_log(tmp_path).Tensors("lr")
    log.close()
    assert [event.step for event in events] == list(range(1, 24))
    for event, (earliest, latest) in zip(events, pairwise(times), strict=True):
        assert earliest <= event.wall_time <= latest


def test_after_a_failure_nothing_is_written_twice(tmp_path, monkeypatch):
    log, written = TensorBoardLog(tmp_path, 0), []
    put = log._put

    def full_at_the_third(**event):
        written.append(event)
        if len(written) == 3:
            raise OSError("no space left")
        put(**event)

    monkeypatch.setattr(log, "_put", full_at_the_third)
    with pytest.raises(OSError, match="no space left"):
        for step in range(1, 11):
            log.scalars(step, {"lr": step})
    log.close()
    assert [event.step for event in read_log(tmp_path).Tensors("lr")] == [1, 2]


def test_images_keep_their_sizes_and_colours(folder):
    shown = [value for tag, _, value in events_of(folder) if tag == "validate/detections"]
    assert len(shown) == 2 and shown[0][:2] == [b"3", b"2"]  # width and height of the first
    for encoded, image in zip(shown[0][2:], IMAGES, strict=True):
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
        np.testing.assert_array_equal(decoded, image)


def test_the_layout_lays_training_and_validation_over_each_other(log):
    layout = layout_pb2.Layout.FromString(text_of(log, "custom_scalars__config__"))
    charts = [chart for category in layout.category for chart in category.chart]
    assert charts[0].title == "mAP"
    for chart in charts:  # as the plugin finds tags
        shown = [t for t in DESCRIPTIONS if any(re.match(x, t) for x in chart.multiline.tag)]
        assert len(shown) == len(chart.multiline.tag)
        if chart.title == "conf loss":
            assert shown == ["loss/conf_loss", "validate_loss/conf_val"]


def test_settings_and_end_are_there_for_hparams(log):
    start = log.SummaryMetadata(hparams.SESSION_START_INFO_TAG).plugin_data.content
    values = hparams.parse_session_start_info_plugin_data(start).hparams
    assert (values["seed"].number_value, values["tiny"].bool_value) == (7, True)
    assert json.loads(values["anchors"].string_value)[0][0] == [10, 14]
    end = log.SummaryMetadata(hparams.SESSION_END_INFO_TAG).plugin_data.content
    assert hparams.parse_session_end_info_plugin_data(end).status == STATUS_SUCCESS


def test_the_graph_has_the_layers(log):
    graph = log.Graph()
    inputs = {node.name.rpartition("/")[2]: list(node.input) for node in graph.node}
    assert inputs["leaky_3"] == ["yolov3_tiny/bn_3"]


def test_settings_that_are_not_the_defaults_come_first_and_in_bold(log):
    rows = [line.split(" | ") for line in settings_table(CONFIG).splitlines()]
    assert [row[0] for row in rows[:3]] == ["setting", "---", "**train_classes**"]
    assert rows[2][1:3] == [r'`"a\|b.names"`', '`"mnist/mnist.names"`']
    assert [row[:3] for row in rows[3:5]] == [
        ["**tiny**", "`true`", "`false`"],
        ["**seed**", "`7`", "`0`"],
    ]
    assert not any(row[0].startswith("*") for row in rows[5:])
    assert text_of(log, "config").decode() == settings_table(CONFIG)


def test_settings_that_follow_from_others_are_not_marked_as_changed():
    table = settings_table(Config(train_lr_init=3e-4, train_input_scales=(0.5,)))
    assert re.findall(r"\*\*(\w+)", table) == ["train_lr_init", "train_input_scales"]
    assert "train_lr_end | `3e-05` | `3e-05`" in table  # not 2.9999999999999997e-05


def test_pr_curves_count_what_is_right_and_wrong_above_each_threshold():
    boxes_xyxy = np.array([[0, 0, 9, 9], [20, 20, 29, 29], [50, 50, 59, 59]], float)
    record = Record("a.png", boxes_xyxy[:2], np.array([0, 2]), 1)
    found = boxes_xyxy, np.array([0.85, 0.65, 0.45]), np.array([0, 2, 2])
    matches = match_detections([record], [found], 3)
    summaries = pr_curves(matches, score_curves(matches), ["a", "b", "c"])
    values = {s.value[0].tag: tf.make_ndarray(s.value[0].tensor) for s in summaries}
    every, of_a, of_c = values.values()
    assert list(values) == [f"{name}/pr_curves" for name in TAGS]
    assert of_a.shape == (6, 101)
    # right, wrong, -, not found, precision, recall at scores from 0.5, 0.4 and 0.9
    for place, expected in ((50, [1, 0, 0, 0, 1, 1]), (40, [1, 1, 0, 0, 0.5, 1])):
        assert of_c[:, place].tolist() == expected
    assert of_c[:, 90].tolist() == [0, 0, 0, 1, 1, 0]
    assert every[:, 40].tolist() == [2, 1, 0, 0, 0.75, 1]
    empty = Record("a.png", np.zeros((0, 4)), np.zeros(0, int), 1)
    nothing = match_detections([empty], [found], 3)
    assert pr_curves(nothing, score_curves(nothing), ["a", "b", "c"]) == []


def test_the_page_names_every_group_of_tags():
    page = (Path(__file__).parents[2] / "docs" / "loss.md").read_text()
    assert not [tag for tag in DESCRIPTIONS if f"`{tag.partition('/')[0]}" not in page]
