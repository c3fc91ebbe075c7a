"""Scenes and the files they are written to: what a user gets, and what happens when it fails."""

import itertools
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist import make_data as script
from mnist import scene_files
from mnist.make_data import main, make_data
from mnist.scenes import (
    MAX_OVERLAP,
    MAX_TRIES,
    draw_sides,
    make_scenes,
    overlap_of_smaller,
    paste,
    place,
)
from yolov3.annotations import read_annotations

SCRIPT = Path(script.__file__)
LINE = re.compile(r"(/|[A-Z]:\\).*\.png( \d+,\d+,\d+,\d+,\d)+")


def plain_digits(ink: int) -> tuple[np.ndarray, np.ndarray]:
    """Return 10 squares for digits; the one of label k is `ink` + k all over."""
    labels = np.arange(10, dtype=np.uint8)
    return np.tile((ink + labels)[:, None, None], (1, 28, 28)), labels


def scenes_of(count: int, size: int = 416, seed: int = 0):
    return list(make_scenes(*plain_digits(100), count, size, np.random.default_rng(seed)))


@pytest.fixture
def mnist(tmp_path) -> str:
    """Return a small mnist.npz: ink 100 to 109 in training digits, 200 to 209 in test digits."""
    (x_train, y_train), (x_test, y_test) = plain_digits(100), plain_digits(200)
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return str(path)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def run(*args, **kwargs) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **kwargs)


# scenes


def test_sides_are_those_of_the_tutorial():
    sides = draw_sides(20_000, np.random.default_rng(0))
    large, medium, small = sides[:, :3], sides[:, 3:9], sides[:, 9:]
    for group, low, high in [(large, 84, 112), (medium, 28, 56), (small, 14, 22)]:
        drawn = group[group > 0]
        assert (drawn.min(), drawn.max()) == (low, high)
        numbers = np.bincount((group > 0).sum(axis=1))
        share = numbers / 20_000  # of scenes with 0, 1, ... of them
        assert len(numbers) == group.shape[1] + 1
        np.testing.assert_allclose(share, 1 / len(numbers), atol=0.02)
    assert (sides > 0).any(axis=1).all()


@pytest.mark.parametrize("size", [112, 160, 416])
def test_digits_lie_inside_and_do_not_hide_one_another(size):
    for scene in scenes_of(150, size):
        boxes = scene.boxes_xyxy.tolist()
        assert 1 <= len(boxes) <= 12 and len(boxes) == len(scene.labels)
        for left, top, right, bottom in boxes:
            assert 0 <= left < right <= size and 0 <= top < bottom <= size
            assert right - left == bottom - top
        for one, other in itertools.combinations(boxes, 2):
            width = min(one[2], other[2]) - max(one[0], other[0])
            height = min(one[3], other[3]) - max(one[1], other[1])
            smaller = min((box[2] - box[0]) ** 2 for box in (one, other))
            assert max(width, 0) * max(height, 0) <= MAX_OVERLAP * smaller


def test_nearly_all_digits_find_a_place_at_the_default_size():
    wanted = (draw_sides(1000, np.random.default_rng(0)) > 0).sum()
    assert sum(len(scene.labels) for scene in scenes_of(1000)) >= 0.999 * wanted


def test_a_box_holds_the_digit_of_its_label_and_the_rest_is_white():
    for scene in scenes_of(50):
        assert scene.picture.shape == (416, 416) and scene.picture.dtype == np.uint8
        expected = np.full((416, 416), 255)
        for (left, top, right, bottom), label in zip(scene.boxes_xyxy, scene.labels, strict=True):
            expected[top:bottom, left:right] = np.minimum(
                expected[top:bottom, left:right], 255 - (100 + label)
            )
        np.testing.assert_array_equal(scene.picture, expected)


def test_overlap_is_that_of_the_smaller_box():
    big = np.array([0, 0, 112, 112])
    others = np.array(
        [
            [50, 50, 64, 64],  # buried
            [112, 0, 126, 14],  # beside it
            [105, 98, 119, 112],  # half of it outside
            [-7, -7, 7, 7],  # a quarter of it inside
            [0, 0, 0, 0],
        ]
    )
    np.testing.assert_allclose(overlap_of_smaller(big, others), [1, 0, 0.5, 0.25, 0])
    np.testing.assert_allclose(overlap_of_smaller(others, big), [1, 0, 0.5, 0.25, 0])


def test_a_digit_without_room_is_left_out_after_a_bounded_search():
    class Counting:
        rng, calls = np.random.default_rng(0), 0

        def integers(self, *args):
            self.calls += 1
            return self.rng.integers(*args)

    rng = Counting()
    boxes = place(np.array([[112, 112, 14]]), 112, rng)
    np.testing.assert_array_equal(boxes, [[[0, 0, 112, 112], [0, 0, 0, 0], [0, 0, 0, 0]]])
    assert rng.calls == 1 + 2 * MAX_TRIES


def test_the_white_of_a_digit_erases_nothing():
    dot = np.zeros((28, 28), np.uint8)
    dot[0, 0] = 255
    blank = np.zeros((28, 28), np.uint8)
    picture = paste(np.stack([dot, blank]), np.array([[5, 9, 33, 37], [0, 0, 28, 28]]), 112)
    assert picture[9, 5] == 0
    assert (picture == 255).sum() == 112 * 112 - 1


def test_digits_are_resized_smoothly():
    board = np.indices((28, 28)).sum(axis=0) % 2 * np.uint8(255)  # one pixel squares
    edge = np.zeros((28, 28), np.uint8)
    edge[:, 14:] = 255
    boxes = np.array([[0, 0, 14, 14], [0, 14, 112, 126]])
    picture = paste(np.stack([board.astype(np.uint8), edge]), boxes, 126)
    assert abs(picture[:14, :14] - 127.5).max() < 1  # the mean of each 2x2
    assert picture[70, 50] == 255 and picture[70, 62] == 0
    assert 0 < picture[70, 55] < 255 and 0 < picture[70, 56] < 255


def test_scenes_smaller_than_a_digit_are_refused():
    with pytest.raises(ValueError, match="at least 112 pixels; received 111"):
        scenes_of(1, size=111)


def test_scenes_are_composed_quickly():
    scenes_of(1)
    started = time.process_time()
    scenes_of(300)
    assert time.process_time() - started < 1.0  # pixel by pixel it takes over 4


# files


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
            picture = np.asarray(Image.open(record.image_path))
            assert picture.shape == (200, 200) and picture.dtype == np.uint8
            assert record.boxes_xyxy.min() >= 0 and record.boxes_xyxy.max() <= 200
            for box, label in zip(record.boxes_xyxy.astype(int), record.classes, strict=True):
                middle = (box[:2] + box[2:]) // 2
                assert picture[middle[1], middle[0]] == 255 - (ink + label)  # its own split's digit


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


def test_a_smaller_run_leaves_no_old_pictures_and_spares_other_files(tmp_path, mnist, capsys):
    make_data(tmp_path, mnist, train=9, test=3, size=160)
    mine = ["000001.jpg", "mine.png", "1.png", "0000001.png", "notes.txt"]
    for name in mine:
        (tmp_path / "mnist_train" / name).write_text("mine")
    capsys.readouterr()
    make_data(tmp_path, mnist, train=4, test=3, size=160)
    names = {path.name for path in (tmp_path / "mnist_train").iterdir()}
    assert names == {f"{n:06d}.png" for n in range(1, 5)} | set(mine)
    assert (tmp_path / "mnist_train" / "mine.png").read_text() == "mine"
    assert "removed 5 pictures of an earlier run" in capsys.readouterr().out


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_run_that_fails_while_drawing_changes_nothing(tmp_path, mnist, monkeypatch, error):
    make_data(tmp_path, mnist, train=5, test=3, size=160)
    before = contents(tmp_path)
    encode, calls = scene_files.cv2.imencode, []

    def fail_in_the_test_set(*args):
        calls.append(args)
        if len(calls) > 8:
            raise error
        return encode(*args)

    monkeypatch.setattr(scene_files.cv2, "imencode", fail_in_the_test_set)
    args = ["--mnist", mnist, "--output", str(tmp_path), "--train", "7", "--test", "4"]
    assert main(args) == (1 if isinstance(error, OSError) else 130)
    assert contents(tmp_path) == before
    assert not list(tmp_path.rglob(".new-*"))


def test_pictures_are_never_left_under_annotations_of_another_run(tmp_path, mnist, monkeypatch):
    make_data(tmp_path, mnist, train=5, test=3, size=160)
    replace, calls = os.replace, []

    def lose_power(*args):
        calls.append(args)
        if len(calls) > 3:
            raise OSError("power cut")
        replace(*args)

    monkeypatch.setattr(scene_files.os, "replace", lose_power)
    with pytest.raises(OSError, match="power cut"):
        make_data(tmp_path, mnist, train=5, test=3, size=160, seed=1)
    assert not (tmp_path / "mnist_train.txt").exists()


# the command


def test_the_command_works_from_anywhere_and_says_what_it_did(tmp_path, mnist):
    result = run("--mnist", "mnist.npz", "--output", "out", "--train", 3, "--test", 2, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "digits: mnist.npz (given with --mnist); 10 to train and 10 to test"
    assert lines[1] == f"wrote 3 scenes to {tmp_path / 'out' / 'mnist_train.txt'}"
    assert lines[2] == f"wrote 2 scenes to {tmp_path / 'out' / 'mnist_test.txt'}"
    assert lines[3].endswith("next: python train.py")
    assert Image.open(tmp_path / "out" / "mnist_train" / "000003.png").size == (416, 416)


def test_bad_digits_leave_the_earlier_data_alone(tmp_path, mnist):
    make_data(tmp_path / "out", mnist, train=3, test=2, size=160)
    before = contents(tmp_path / "out")
    result = run("--mnist", tmp_path / "no.npz", "--output", tmp_path / "out")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert f"{tmp_path / 'no.npz'}: expected mnist.npz" in result.stderr
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--train", "0", "from 1 to 999999; received '0'"),
        ("--test", "-1", "received '-1'"),
        ("--train", "1000000", "received '1000000'"),
        ("--size", "41.6", "received '41.6'"),
        ("--size", "111", "at least 112 pixels; received 111"),
        ("--size", "99999", "from 1 to 4096; received '99999'"),
        ("--seed", "x", "received 'x'"),
    ],
)
def test_bad_numbers_are_refused(tmp_path, mnist, capsys, flag, value, message):
    try:
        status = main(["--mnist", mnist, "--output", str(tmp_path), f"{flag}={value}"])
    except SystemExit as error:  # argparse
        status = error.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*/*.png"))


def test_a_file_for_a_folder_is_refused(mnist, capsys):
    assert main(["--mnist", mnist, "--output", mnist]) == 2
    assert "expected a folder for --output; received a file" in capsys.readouterr().err


def test_a_path_that_no_annotation_can_hold_is_refused(tmp_path, mnist):
    if os.name == "nt":
        pytest.skip("Windows has no such names")
    assert main(["--mnist", mnist, "--output", str(tmp_path / "two\nlines")]) == 2
    assert not list(tmp_path.rglob("*.png"))


def test_the_command_needs_no_tensorflow_and_its_help_nothing_heavy(tmp_path, mnist):
    code = (
        "import sys; from mnist.make_data import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('tensorflow', 'numpy') if name in sys.modules])"
    )
    for args, heavy in [(["--help"], "[]"), (["--mnist", mnist, "--output", "out"], "['numpy']")]:
        result = subprocess.run(
            [sys.executable, "-c", code, *args],
            env=os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.stdout.splitlines()[-1] == heavy, result.stderr
