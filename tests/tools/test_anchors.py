import numpy as np
import pytest
from PIL import Image
from script_runs import run

import anchors as tool
from yolov3.cli.flags import read_anchors
from yolov3.configs import Config


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (200, 100)).save(tmp_path / "wide.png")
    return tmp_path


def test_the_tool_writes_what_training_reads_and_draws(folder, capsys):
    words = [f"0,0,{width},{height},0" for width in (10, 20, 40) for height in (12, 24, 48)]
    (folder / "a.txt").write_text("wide.png " + " ".join(words))
    output = str(folder / "new" / "anchors.json")
    arguments = ["--input-size", "192", "--plot", str(folder / "new" / "plot.png")]
    arguments += ["--output", output]
    assert tool.main([str(folder / "a.txt"), *arguments]) == 0
    printed = capsys.readouterr().out
    assert "9 boxes on 1 image\n" in printed
    assert "YOLOv3: 10x12  " in printed
    # Nine anchors for nine sizes, at 192 of 200 pixels; 9.6 x 11.52 is rounded to 10 x 12.
    found = Config(anchors=read_anchors(output)).anchors
    assert found[0][0] == (10, 12) and found[2][2] == (38, 46)
    assert tool.main([str(folder / "a.txt"), "--tiny", "--output", output]) == 0
    assert np.shape(Config(tiny=True, anchors=read_anchors(output)).anchors) == (2, 3, 2)
    assert Image.open(folder / "new" / "plot.png").size == (1800, 900)


def test_only_the_chosen_network_needs_boxes_of_enough_sizes(folder, capsys):
    words = [f"0,0,{width},{width},0" for width in (10, 20, 30, 40, 50, 60)]
    (folder / "a.txt").write_text("wide.png " + " ".join(words))
    output = str(folder / "anchors.json")
    assert tool.main([str(folder / "a.txt"), "--tiny", "--output", output]) == 0
    assert np.shape(read_anchors(output)) == (2, 3, 2)
    assert capsys.readouterr().out.endswith(f"use it: train.py --tiny --anchors {output}\n")


@pytest.mark.parametrize(
    ("line", "arguments", "message"),
    [
        ("gone.png 1,2,3,4,0", [], "gone.png: expected an image; there is no such file"),
        ("wide.png 1,2,3,4,0", [], "a.txt: expected boxes of 9 different sizes or more; received"),
        ("wide.png 1,2,3,x,0", [], "a.txt:1: expected xmin,ymin,xmax,ymax,label as numbers; rec"),
        (
            "wide.png 1,2,3,4,0",
            ["--plot=wide.png"],
            "wide.png: refusing to overwrite an input",
        ),
        ("gone.png", ["--plot=a.pdf"], "--plot: expected a name that ends in .png; received a.pdf"),
        ("gone.png", ["--seed=-1"], "seed: expected 0 to 4294967295; received -1"),
    ],
)
def test_the_tool_answers_bad_input_with_one_line(folder, line, arguments, message):
    (folder / "a.txt").write_text(line)
    before = (folder / "wide.png").read_bytes()
    result = run(folder, "tools/anchors.py", "a.txt", *arguments)
    assert result.returncode == 2 and message in result.stderr
    assert result.stderr.count("\n") == 1
    assert (folder / "wide.png").read_bytes() == before
