"""The documentation: its links lead somewhere, and its claims hold."""

import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from yolov3.annotations import LineError, parse_line
from yolov3.boxes import bbox_giou, bbox_iou
from yolov3.configs import ANCHORS, STRIDES, Config
from yolov3.labels import assign_anchors

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for folder in (".", "[!.]*") for path in sorted(ROOT.glob(f"{folder}/*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
ROW = re.compile(r"^\| `([^`]+)` \| (.+) \|$", re.MULTILINE)


COMMAND = re.compile(r"^ *\$? *python ((?:\w+/)*\w+\.py)((?: .*\\\n)* .*)?", re.M)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
OTHER_FLAGS = {
    "--index-url",
    "--logdir",
    "--help",
    "--share",
    "--only",
    "--rename",
    "--data-binary",
    *("--nodes", "--ntasks-per-node", "--gpus-per-node", "--requeue", "--distribution"),  # Slurm's
}


@lru_cache
def flags(script):
    """Return the flags that the help of a script lists."""
    run = subprocess.run(
        [sys.executable, ROOT / script, "--help"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, f"{script}: {run.stderr}"
    return set(FLAG.findall(run.stdout))


def section(page, title):
    """Return the text of a page from a heading to the next one."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", text, re.M | re.S)[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_files(page):
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    relative = [target for target in targets if "://" not in target and not target.startswith("#")]
    assert [name for name in relative if not (page.parent / name.partition("#")[0]).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_have_the_flags_of_their_scripts(page):
    commands = COMMAND.findall(page.read_text(encoding="utf-8"))
    unknown = [
        f"{script} {flag}"
        for script, arguments in commands
        for flag in FLAG.findall(arguments.partition("#")[0])
        if flag not in flags(script)
    ]
    assert unknown == []


def test_every_flag_that_a_page_names_is_one_of_a_script():
    folders = (".", "tools", "mnist", "benchmarks")
    scripts = [p for f in folders for p in (ROOT / f).glob("*.py") if "run_script" in p.read_text()]
    known = set().union(*(flags(str(script.relative_to(ROOT))) for script in scripts))
    named = {flag for page in PAGES for flag in FLAG.findall(page.read_text(encoding="utf-8"))}
    assert named - known - OTHER_FLAGS == set()


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= set(LINK.findall(index))


def test_the_readme_shows_every_module_of_the_reading_path_and_no_other():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = re.search(r"^yolov3/ (.*?)^tools/", readme, re.M | re.S)[1]
    modules = {path.name for path in (ROOT / "yolov3").glob("*.py")} - {"__init__.py"}
    packages = {f"{path.parent.name}/" for path in (ROOT / "yolov3").glob("*/__init__.py")}
    assert set(re.findall(r"\b\w+\.py\b", tree)) - {"detect.py"} == modules
    assert set(re.findall(r"^    (\w+/)", tree, re.M)) == packages


def test_lines_that_the_page_on_annotations_allows_are_read():
    lines = [line for line, _ in ROW.findall(section("annotations.md", "What is allowed"))]
    assert len(lines) == 6
    for line in lines:
        path, boxes_xyxy, classes = parse_line(line, num_classes=3)
        assert len(boxes_xyxy) == len(classes) == (line != path)


def test_lines_that_the_page_on_annotations_forbids_are_refused_with_its_words():
    rows = ROW.findall(section("annotations.md", "What is not"))
    assert len(rows) == 7
    for line, message in rows:
        with pytest.raises(LineError) as error:
            parse_line(line, num_classes=3)
        assert str(error.value) == message


def test_the_contest_of_the_page_on_the_loss():
    boxes_xyxy = np.float32([[[170, 170, 230, 230], [175, 170, 225, 230]]])  # 60x60 and 50x60
    grid_sizes = [(416 // stride, 416 // stride) for stride in STRIDES]
    targets = assign_anchors(boxes_xyxy, [[0, 1]], ANCHORS, STRIDES, grid_sizes, num_classes=2)
    winners = {}
    for target, anchors in zip(targets, ANCHORS, strict=True):
        for *cell, anchor in np.argwhere(target[0, ..., 4] > 0):
            width, height = target[0].numpy()[*cell, anchor, 2:4]
            winners["{}x{}".format(*anchors[anchor])] = f"{width:.0f}x{height:.0f}"
    rows = re.findall(
        r"^\| (\d+x\d+) \|.*\| (\d+x\d+) \|$", section("loss.md", "Who learns a box"), re.M
    )
    assert winners == dict(rows) and len(rows) == 4


def test_no_pair_of_boxes_is_below_the_bound_of_the_page_on_giou():
    corners = np.random.default_rng(0).uniform(0, 100, (2, 200_000, 2, 2))
    boxes_xyxy = np.sort(corners, axis=2).reshape(2, -1, 4)
    iou, giou = (measure(*boxes_xyxy).numpy() for measure in (bbox_iou, bbox_giou))
    touching = iou > 0
    bound = iou - ((1 - iou) / (1 + iou)) ** 2
    slack = (giou - bound)[touching]
    assert -1e-6 < slack.min() < 0.01  # it holds, and is nearly met


def test_the_settings_of_the_page_on_the_learning_rate():
    rows = dict(
        re.findall(
            r"^\| `--([a-z-]+)` \| ([0-9.]+) \|", section("learning_rate.md", "Settings"), re.M
        )
    )
    assert len(rows) == 4
    for flag, default in rows.items():
        assert float(default) == getattr(Config(), flag.replace("-", "_"))
