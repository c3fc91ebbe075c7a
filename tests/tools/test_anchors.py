import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import anchors as tool
from yolov3.annotations import Record
from yolov3.boxes import shape_iou
from yolov3.configs import ANCHORS, TINY_ANCHORS
from yolov3.data.box_sizes import (
    letterboxed_boxes,
    letterboxed_sizes,
    read_sized_annotations,
)
from yolov3.data.kmeans_anchors import anchor_fit, find_anchors, shape_ious

ROOT = Path(__file__).resolve().parents[2]


def test_shape_ious_by_hand_and_as_in_training():
    boxes_wh = np.array([[10.0, 10.0], [20.0, 5.0], [4.0, 8.0]])
    anchors_wh = np.array([[10.0, 10.0], [5.0, 20.0]])
    # 20x5 and 10x10 share 10x5 of 150; 20x5 and 5x20 share 5x5 of 175.
    expected = [[1, 50 / 150], [50 / 150, 25 / 175], [32 / 100, 32 / 100]]
    np.testing.assert_allclose(shape_ious(boxes_wh, anchors_wh), expected)
    referee = shape_iou(tf.constant(boxes_wh)[:, tf.newaxis], tf.constant(anchors_wh))
    np.testing.assert_allclose(shape_ious(boxes_wh, anchors_wh), referee, atol=1e-6)


def test_fit_by_hand():
    boxes_wh = np.array([[10.0, 10.0], [10.0, 20.0], [10.0, 30.0]])
    fit = anchor_fit(boxes_wh, [(10, 10), (1, 1)])
    assert fit.recall == pytest.approx(1 / 3)  # an IoU of exactly one half is not above it
    assert fit.mean_iou == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_separate_groups_give_their_medians():
    small, tall, wide = [(9, 10), (10, 10), (14, 10)], [(20, 99), (20, 100), (20, 108)], [(200, 60)]
    boxes_wh = np.array(tall + wide * 3 + small, float)
    for seed in range(5):
        assert find_anchors(boxes_wh, 3, seed).tolist() == [[10, 10], [20, 100], [200, 60]]


def test_one_anchor_is_the_median():
    boxes_wh = np.array([[10, 10]] * 5 + [[11, 12]] * 3 + [[300, 300]], float)
    assert find_anchors(boxes_wh, 1).tolist() == [[10, 10]]


def test_as_many_anchors_as_sizes_are_the_sizes():
    boxes_wh = np.array([[30, 10], [10, 31], [100, 100], [5, 5]], float)
    repeated = np.repeat(boxes_wh, [50, 1, 2, 9], axis=0)
    found = find_anchors(repeated, 4).tolist()
    assert found == [[5, 5], [30, 10], [10, 31], [100, 100]]
    with pytest.raises(ValueError, match="of 5 different sizes or more; received 4"):
        find_anchors(repeated, 5)


def test_anchors_are_found_in_whole_pixels_and_small_boxes_get_one_at_least():
    boxes_wh = np.array([[0.2, 0.3], [50, 60.4]])
    assert find_anchors(boxes_wh, 2).tolist() == [[1, 1], [50, 60]]


def test_many_boxes_take_seconds_and_the_same_seed_finds_the_same():
    rng = np.random.default_rng(0)
    boxes_wh = np.clip(np.exp(rng.normal(4, 0.7, (100_000, 2))), 2, 416)
    started = time.perf_counter()
    found = find_anchors(boxes_wh, 9, seed=1)
    assert time.perf_counter() - started < 30  # some 3 s alone on a machine
    spread = [[16, 16], [16, 64], [64, 16], [40, 40], [64, 64], [64, 160], [160, 64], [160, 160]]
    current = anchor_fit(boxes_wh, np.reshape(ANCHORS, (-1, 2)))
    assert (
        anchor_fit(boxes_wh, found).mean_iou > anchor_fit(boxes_wh, [*spread, [300, 300]]).mean_iou
    )
    assert anchor_fit(boxes_wh, found).mean_iou > current.mean_iou + 0.05
    part = boxes_wh[:2000]
    assert find_anchors(part, 6, seed=3).tolist() == find_anchors(part, 6, seed=3).tolist()


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (200, 100)).save(tmp_path / "wide.png")
    Image.new("RGB", (50, 100)).save(tmp_path / "tall.png")
    return tmp_path


def test_boxes_are_those_of_the_letterboxed_input(folder):
    (folder / "a.txt").write_text("wide.png 0,0,200,100,0 20,10,30,40,0\ntall.png 0,0,50,100,0")
    records, sizes_wh = read_sized_annotations(folder / "a.txt")
    assert sizes_wh.tolist() == [[200, 100], [50, 100]]
    boxes = letterboxed_boxes(records, sizes_wh, 416)
    expected = [[0, 104, 416, 312], [41.6, 124.8, 62.4, 187.2], [104, 0, 312, 416]]
    np.testing.assert_allclose(boxes, expected, rtol=1e-6)


def test_boxes_of_one_size_are_the_same_wherever_they_are():
    corners = np.random.default_rng(0).integers(0, 2000, (300, 2)).astype(np.float32) + 0.25
    boxes_xyxy = np.hstack([corners, corners + np.float32([33, 21.1])])
    record = Record("a.png", boxes_xyxy, np.zeros(300, np.int32), 1)
    boxes_wh = letterboxed_sizes([record], np.array([[2560, 2140]]), 416)
    assert np.unique(boxes_wh, axis=0).shape == (1, 2)
    np.testing.assert_allclose(boxes_wh[0], [33 * 416 / 2560, 21.1 * 348 / 2140])
    boxes_xyxy = letterboxed_boxes([record], np.array([[2560, 2140]]), 416)
    np.testing.assert_allclose(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], boxes_wh, atol=1e-3)


def test_an_image_of_the_data_set_is_not_replaced(folder):
    (folder / "a.txt").write_text("wide.png 1,2,3,4,0")
    before = (folder / "wide.png").read_bytes()
    result = run_tool(folder, "a.txt", "--plot", "wide.png")
    assert result.returncode == 2 and "refusing to overwrite an input file" in result.stderr
    assert (folder / "wide.png").read_bytes() == before


def run_tool(folder, *arguments):
    command = [sys.executable, str(ROOT / "tools" / "anchors.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_tool_prints_what_can_be_pasted_and_draws(folder, capsys):
    words = [f"0,0,{width},{height},0" for width in (10, 20, 40) for height in (12, 24, 48)]
    (folder / "a.txt").write_text("wide.png " + " ".join(words))
    arguments = ["--input-size", "192", "--plot", str(folder / "new" / "plot.png")]
    assert tool.main([str(folder / "a.txt"), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "9 boxes on 1 image\n" in printed
    pasted: dict = {}
    exec(printed[printed.index("ANCHORS = (") : printed.index("\nsaved")], pasted)
    assert np.shape(pasted["ANCHORS"]) == np.shape(ANCHORS)
    assert np.shape(pasted["TINY_ANCHORS"]) == np.shape(TINY_ANCHORS)
    # Nine anchors for nine sizes, at 192 of 200 pixels; 9.6 x 11.52 is rounded to 10 x 12.
    assert pasted["ANCHORS"][0][0] == (10, 12) and pasted["ANCHORS"][2][2] == (38, 46)
    assert Image.open(folder / "new" / "plot.png").size == (1200, 600)


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("gone.png 1,2,3,4,0", [], "a.txt:1: expected an image; received "),
        (
            "wide.png 1,2,3,4,0",
            [],
            "a.txt: expected boxes of 9 different sizes or more; received 1",
        ),
        (
            "wide.png 1,2,3,4,0",
            ["--plot", "a.svg"],
            "--plot: expected a name that ends in .png; received a.svg",
        ),
        ("wide.png 1,2,3,x,0", [], "a.txt:1: expected xmin,ymin,xmax,ymax,label as numbers; rec"),
        (
            "wide.png 1,2,3,4,0",
            ["--input-size", "100"],
            "expected a multiple of 32 up to 4096; received 100",
        ),
    ],
)
def test_the_tool_answers_bad_input_with_one_line(folder, content, arguments, message):
    (folder / "a.txt").write_text(content)
    result = run_tool(folder, "a.txt", *arguments)
    assert result.returncode == 2
    assert message in result.stderr.splitlines()[-1] and "Traceback" not in result.stderr
