"""Scenes on disk: the annotations, the same bytes for a seed, and runs that fail half-way."""

import itertools
import os
import re

import numpy as np
import pytest
from digit_samples import contents
from PIL import Image
from script_runs import exit_code

from mnist import scene_files
from mnist.make_data import main, make_data
from yolov3.annotations import read_annotations

LINE = re.compile(r"(/|[A-Z]:\\).*\.png( \d+,\d+,\d+,\d+,\d)+")


def test_annotations_keep_the_contract(tmp_path, mnist):
    output = tmp_path / "my data 1,2"
    make_data(output, mnist, train=12, test=5, size=200)
    assert {path.name for path in output.iterdir()} == {
        *("mnist_train", "mnist_test", "mnist_train.txt", "mnist_test.txt")
    }
    for name, count, ink in [("mnist_train", 12, 100), ("mnist_test", 5, 200)]:
        lines = (output / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        assert all(LINE.fullmatch(line) for line in lines)
        records = read_annotations(output / f"{name}.txt", num_classes=10)
        paths = [str(output / name / f"{n:06d}.png") for n in range(1, count + 1)]
        assert [record.image_path for record in records] == paths
        assert {str(path) for path in (output / name).iterdir()} == set(paths)
        for record in records:
            image = np.asarray(Image.open(record.image_path))
            assert image.shape == (200, 200) and image.dtype == np.uint8
            assert record.boxes_xyxy.min() >= 0 and record.boxes_xyxy.max() <= 200
            for box, label in zip(record.boxes_xyxy.astype(int), record.classes, strict=True):
                middle = (box[:2] + box[2:]) // 2
                assert image[middle[1], middle[0]] == 255 - (ink + label)  # its own split's digit


def test_the_same_seed_gives_the_same_bytes(tmp_path, mnist):
    results = []
    for train, seed in [(6, 3), (6, 3), (6, 4), (9, 3)]:
        output = tmp_path / str(len(results))
        make_data(output, mnist, train=train, test=4, size=160, seed=seed)
        files = contents(output)
        for name in ("mnist_train.txt", "mnist_test.txt"):
            files[name] = files[name].replace(os.fsencode(output), b"")
        results.append(files)
    first, same, other_seed, more_training = results
    assert first == same
    assert all(first[name] != other_seed[name] for name in first)
    tests = {name: data for name, data in first.items() if "test" in name}
    assert tests.items() <= more_training.items()  # the test set does not depend on --train


def test_a_smaller_run_leaves_no_old_images_and_spares_other_files(tmp_path, mnist, capsys):
    make_data(tmp_path, mnist, train=9, test=3, size=160)
    mine = ["000001.jpg", "mine.png", "0000001.png"]
    for name in mine:
        (tmp_path / "mnist_train" / name).write_text("mine")
    capsys.readouterr()
    make_data(tmp_path, mnist, train=4, test=3, size=160)
    names = {path.name for path in (tmp_path / "mnist_train").iterdir()}
    assert names == {f"{n:06d}.png" for n in range(1, 5)} | set(mine)
    assert (tmp_path / "mnist_train" / "mine.png").read_text() == "mine"
    assert "removed 5 images of an earlier run" in capsys.readouterr().out


def failing_after(number, function, error):
    """Return a function that raises an error after so many calls."""
    calls = itertools.count()

    def call(*args):
        if next(calls) >= number:
            raise error
        return function(*args)

    return call


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_run_that_fails_while_drawing_changes_nothing(tmp_path, mnist, monkeypatch, error):
    make_data(tmp_path, mnist, train=5, test=3, size=160)
    before = contents(tmp_path)
    in_the_test_set = failing_after(8, scene_files.cv2.imencode, error)
    monkeypatch.setattr(scene_files.cv2, "imencode", in_the_test_set)
    args = ["--mnist", mnist, "--output", str(tmp_path), "--train", "7", "--test", "4"]
    assert exit_code(main, args) == (1 if isinstance(error, OSError) else 130)
    assert contents(tmp_path) == before
    assert not list(tmp_path.rglob(".new-*"))


def test_images_are_never_left_under_annotations_of_another_run(tmp_path, mnist, monkeypatch):
    make_data(tmp_path, mnist, train=5, test=3, size=160)
    lose_power = failing_after(3, os.replace, OSError("power cut"))
    monkeypatch.setattr(scene_files.os, "replace", lose_power)
    with pytest.raises(OSError, match="power cut"):
        make_data(tmp_path, mnist, train=5, test=3, size=160, seed=1)
    assert not (tmp_path / "mnist_train.txt").exists()
