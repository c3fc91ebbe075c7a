"""Run docs/own_data.md: its commands in order, and the output it shows."""

import re

import pytest
from page_runs import ROOT, blocks, copy_repository, run_page

PAGE = (ROOT / "docs" / "own_data.md").read_text(encoding="utf-8")
HOME = "/home/you/yolov3"  # where the page's reader has the repository
# A test has no time for a training that finds something; the commands are the same.
SHORTER = {
    "--tiny --train-input-size 320 --train-epochs 12": "--tiny --train-input-size 64"
    " --train-input-scales 1 --train-epochs 1",
    "--train-annot-path shapes/all_train.txt": "--train-annot-path shapes/all_test.txt",
    "detect.py": "detect.py --score-threshold 0.001",
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    return copy_repository(tmp_path_factory.mktemp("page") / "yolo v3")


@pytest.fixture(scope="module")
def printed(copy):
    """Run all commands of the page and return what they print."""
    return run_page(PAGE, copy, SHORTER).replace(str(copy), HOME)


def test_what_the_test_shortens_is_on_the_page():
    commands = "".join(blocks(PAGE, "bash"))
    assert all(text in commands for text in SHORTER)


def test_the_commands_run_and_print_what_the_page_shows(printed):
    for text in blocks(PAGE, "text"):
        assert text in printed
    assert "shapes/all_train.txt: 286 good lines, 1,161 boxes, 0 bad lines" in printed


def test_the_files_that_the_page_names_are_there(printed, copy):
    shapes = copy / "shapes"
    names = [
        "roboflow_val.txt",
        "all_train.txt",
        "all_test.names",
        "all_train.json",
        "anchors.json",
        "anchors.png",
        "report/report.html",
    ]
    for name in [*names, "look/images.png", "look/statistics.png"]:
        assert (shapes / name).stat().st_size > 0, name
    assert len(list((shapes / "found").iterdir())) == 12  # as many as images
    for image in re.findall(r"!\[.*?\]\((.*?)\)", PAGE):
        assert (ROOT / "docs" / image).is_file(), image
