"""detect_mnist.py: the images it saves, and what it refuses."""

import re

import numpy as np
import pytest
from script_runs import refusal

import detect_mnist
from yolov3.images import read_image


@pytest.fixture
def in_run(trained, monkeypatch):
    """Be in the folder of the trained run, on a machine without a screen; return the folder."""
    monkeypatch.chdir(trained.folder)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return trained.folder


def test_detect_mnist_saves_the_chosen_scenes(in_run, capsys):
    flags = ["--count=2", "--seed=1", "--score-threshold=0", "--output=found here"]
    assert detect_mnist.main(flags) == 0
    images = sorted((in_run / "found here").iterdir())
    assert len(images) == 2 and all(path.name.startswith("scene ") for path in images)
    for path in images:
        drawn = read_image(path)
        assert drawn.shape == (128, 128, 3)
        assert np.any(drawn[..., 0] != drawn[..., 1])  # a grey scene has colour only from boxes
    assert capsys.readouterr().out.count("saved found here") == 2


def test_detect_mnist_takes_an_image(in_run, digit_scenes, capsys):
    image = digit_scenes.parent / "scene 3.png"
    flags = [f"--image={image}", "--no-show", "--output=one.jpg"]
    assert detect_mnist.main([*flags, "--score-threshold=0"]) == 0
    assert read_image(in_run / "one.jpg").shape == (128, 128, 3)
    assert f"{image}: " in capsys.readouterr().out
    assert detect_mnist.main([*flags, "--score-threshold=1"]) == 1  # nothing found
    assert "nothing above 1: try a lower --score-threshold, or " in capsys.readouterr().out


def test_an_image_that_cannot_be_saved_is_named_and_the_rest_is_done(in_run, monkeypatch, capsys):
    errors = iter([OSError("x.png: No space left on device"), None])

    def refuse(path, image_rgb):
        if error := next(errors):
            raise error

    monkeypatch.setattr("yolov3.images.write_image", refuse)
    assert detect_mnist.main(["--count=2", "--score-threshold=0", "--no-show"]) == 1
    out, error = capsys.readouterr()
    assert error == "not saved: x.png: No space left on device\n" and out.count("  saved ") == 1


def test_detect_mnist_shows_one_box_per_digit_unless_told_otherwise(in_run, capsys):
    flags = ["--seed=1", "--no-show", "--score-threshold=0", "--iou-threshold=0.1"]
    counts = []
    for more in ([], ["--agnostic-nms"], ["--no-agnostic-nms"]):
        assert detect_mnist.main([*flags, *more]) == 0
        counts.append(int(re.search(r"(\d+) found", capsys.readouterr().out).group(1)))
    assert counts[0] == counts[1] < counts[2]


def test_detect_mnist_refuses_bad_input(in_run, capfd):
    line = refusal(capfd, detect_mnist.main, ["--image=gone.png"])
    assert "gone.png: expected an image; there is no such file" in line
    line = refusal(capfd, detect_mnist.main, ["--count=2", "--output=one.png"])
    assert "--output: expected a folder for several images; received 'one.png'" in line
