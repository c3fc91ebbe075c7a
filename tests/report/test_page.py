"""The report: its files, and a sensible page for every data set."""

import csv
import json
import math
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scenes_of_boxes import BOX, found, random_scenes, truth

from yolov3.evaluation import STAGES, Evaluation, add_points, format_table
from yolov3.metrics import AREAS, average_precision, match_detections, score_curves
from yolov3.report.page import write_json, write_report

NAMES = ['<b>bold</b> & "so"', "_$x$\x1b[2J", "plain"]


def evaluation_of(folder, records, detections, names, **settings):
    """Return what `evaluate` would, of images that are all one grey PNG."""
    path = folder / "<i>&.png"
    cv2.imwrite(str(path), np.full((420, 420, 3), 128, np.uint8))
    records = [replace(record, image_path=str(path)) for record in records]
    matches = match_detections(records, detections, len(names), areas=tuple(AREAS))
    curves = score_curves(matches)
    figures = {**average_precision(matches, names, tuple(AREAS)), "images": len(records)}
    figures |= {
        "images_per_second": 9.0,
        "unreadable": 0,
        "milliseconds": dict.fromkeys(STAGES, 1.0),
    } | settings
    add_points(figures, matches, curves)
    sizes = np.full((len(records), 2), 420)
    return Evaluation(figures, records, names, detections, sizes, matches, curves)


@pytest.fixture(scope="module")
def scenes():
    return random_scenes(np.random.default_rng(0), images=30, extra=1)


@pytest.fixture(scope="module")
def report(scenes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    evaluation = evaluation_of(folder, *scenes, NAMES)
    about = {"run": "<u>run</u>", "images_are": "trained_on", "iou_threshold": 0.45}
    page = write_report(folder / "new", evaluation, about)
    return evaluation, page.parent, page.read_text()


def test_the_page_holds_everything_and_runs_nothing(report):
    _, folder, page = report
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 8 + 8 + 8  # figures, worst and random images
    assert all(re.match("data:image/(png|jpeg);base64,", source) for source in sources)
    assert not re.search(r"<script|<b>bold|<i>&|<u>run|\x1b|\$[A-Za-wyz]", page)
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; &quot;so&quot;" in page and "_$x$\\x1b[2J" in page
    assert len(list(folder.glob("*.png"))) == 8 and len(list(folder.glob("images/*.jpg"))) == 16


def test_tables_and_numbers(report):
    evaluation, folder, page = report
    figures = json.loads((folder / "report.json").read_text())
    assert figures["mAP"] == evaluation.figures["mAP"] and figures["run"] == "<u>run</u>"
    assert f"threshold is {figures['best_threshold']:g}" in page
    assert "Warning: the run was trained on these images" in page and "iou_threshold: 0.45" in page
    matrix = np.array(figures["confusion_matrix"])
    with open(folder / "classes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows[1:]] == [NAMES[0], "_$x$\\x1b[2J", "plain"]
    for label, (row, name) in enumerate(zip(rows[1:], NAMES, strict=True)):
        of_class = figures["per_class"][name]
        assert float(row["mAP50"]) == of_class["AP50"]  # not rounded
        recall = matrix[label, label] / matrix[label].sum()
        precision = matrix[label, label] / matrix[:, label].sum()
        assert [of_class["recall"], of_class["precision"]] == pytest.approx([recall, precision])
        assert of_class["best_F1"] > 0 and 0.1 <= of_class["best_threshold"] <= 0.9


def test_pycocotools_loads_what_was_found(report):
    evaluation, folder, _ = report
    coco = COCO(str(folder / "ground_truth.coco.json"))
    results = coco.loadRes(str(folder / "detections.coco.json"))
    referee = COCOeval(coco, results, "bbox")
    referee.evaluate()
    referee.accumulate()
    referee.summarize()
    names = ("mAP", "mAP50", "mAP75", "mAP_small", "mAP_medium", "mAP_large")
    ours = [evaluation.figures[name] for name in names]
    np.testing.assert_allclose(ours, referee.stats[:6], atol=1e-3)  # coordinates are rounded
    assert coco.imgs[1]["width"] == 420 and coco.cats[1]["name"] == NAMES[0]


EDGES = {
    "one image of one class": ([truth((BOX, 0))], [found((BOX, 0.9, 0))], ["a"]),
    "nothing found": ([truth((BOX, 0))] * 3, [found()] * 3, ["a", "b"]),
    "nothing to find": ([truth()], [found((BOX, 0.9, 0))], ["a", "b"]),
    "nothing at all": ([truth()], [found()], ["a"]),
    "no box of a class": ([truth((BOX, 0))], [found((BOX, 0.9, 1), (BOX, 0.8, 0))], ["a", "b"]),
    "many classes": ([truth((BOX, 20))], [found((BOX, 0.9, 20))], [f"n{i}" for i in range(21)]),
}


@pytest.mark.parametrize("case", EDGES)
@pytest.mark.filterwarnings("error")
def test_every_data_set_has_a_page(case, tmp_path):
    records, detections, names = EDGES[case]
    evaluation = evaluation_of(tmp_path, records, detections, names)
    page = write_report(tmp_path / "report", evaluation, {}).read_text()
    assert page.count("<tr>") == len(names) + 2 and "nan" not in re.sub('"data:[^"]*"', "", page)
    is_found = not np.isnan(evaluation.figures["best_threshold"])
    assert ("The best score threshold is" in page) == is_found
    json.loads((tmp_path / "report" / "report.json").read_text(), parse_constant=pytest.fail)


def test_json_has_null_for_a_class_without_truth_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "result.json"
    write_json(path, {"mAP50": 0.5, "per_class": {"nine": {"AP50": math.nan, "boxes": 0}}})
    wanted = {"mAP50": 0.5, "per_class": {"nine": {"AP50": None, "boxes": 0}}}
    assert json.loads(path.read_text()) == wanted


def test_odd_names_have_a_row_that_spreadsheets_take_as_text(tmp_path):
    names = ["all classes", "=1+1"]
    evaluation = evaluation_of(tmp_path, [truth((BOX, 0))], [found((BOX, 0.9, 0))], names)
    page = write_report(tmp_path / "report", evaluation, {}).read_text()
    assert page.count("<td>all classes</td>") == 2 and "<td>=1+1</td>" in page
    assert format_table(evaluation.figures).count("all classes ") == 2
    with open(tmp_path / "report" / "classes.csv", newline="") as file:
        _, mean, first, formula = csv.reader(file)
    assert mean[:2] == first[:2] == ["all classes", "1"]
    assert formula[0] == "'=1+1" and formula[6] == ""  # no box of it, so no AP


@pytest.mark.parametrize(
    ("score", "said"), [(0.99, "best score threshold is 0.95"), (0.2, "at 0.95")]
)
def test_detections_above_a_high_threshold_are_measured_there(score, said, tmp_path):
    found_at = [found((BOX, score, 0))] if score > 0.95 else [found()]
    evaluation = evaluation_of(tmp_path, [truth((BOX, 0))], found_at, ["a"], score_threshold=0.95)
    page = write_report(tmp_path / "report", evaluation, {}).read_text()
    assert said in page and evaluation.threshold == 0.95
    assert ("No detection above a score of 0.95 is right" in page) == (score < 0.95)
