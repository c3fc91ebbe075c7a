"""show_image: the image it saves, the window it opens or not, and the errors it prints."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from script_runs import exit_code, run

from mnist import show_image as script
from mnist.show_image import main
from yolov3.inference.window import has_screen


@pytest.fixture
def annotations(tmp_path) -> Path:
    """Return the annotations of three white images; image k has one box of class k - 1."""
    folder = tmp_path / "my images"
    folder.mkdir()
    lines = []
    for k in (1, 2, 3):
        Image.new("L", (100, 80), 255).save(folder / f"{k}.png")
        lines.append(f"{folder / f'{k}.png'} 20,30,60,70,{k - 1}")
    (folder / "list.txt").write_text("\n".join(lines))
    return folder / "list.txt"


@pytest.fixture(autouse=True)
def no_screen(monkeypatch):
    """Be on a machine without a screen; one that DISPLAY names is taken for working."""
    monkeypatch.setattr(script, "can_open_window", has_screen)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def saved(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_the_box_of_the_image_is_drawn(annotations, tmp_path, capsys):
    output = tmp_path / "new folder" / "scene.png"
    assert main([f"--annotations={annotations}", "--index=1", f"--output={output}"]) == 0
    image = saved(output)
    assert image.shape == (80, 100, 3)
    for x, y in [(20, 50), (59, 50), (40, 69)]:  # left, right and bottom edge
        assert image[y, x].tolist() != [255, 255, 255]
    assert (image[45:65, 25:55] == 255).all() and (image[:, 65:] == 255).all()
    out = capsys.readouterr().out
    assert f"image 1 of {annotations}" in out and "1.png, 1 box\n" in out
    assert f"saved {output}" in out


def test_an_image_is_chosen_at_random(annotations, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(script.random, "randrange", lambda count: count - 1)
    assert main([f"--annotations={annotations}", f"--output={tmp_path / 'a.png'}"]) == 0
    assert "image 3 of" in capsys.readouterr().out


@pytest.mark.parametrize("index", ["0", "4"])
def test_an_index_past_the_end_is_refused(annotations, tmp_path, capsys, index):
    output = tmp_path / "a.png"
    args = [f"--annotations={annotations}", f"--index={index}", f"--output={output}"]
    assert exit_code(main, args) == 2
    error = capsys.readouterr().err
    assert error == f"error: {annotations}: expected --index 1 to 3; received {index}\n"
    assert not output.exists()


def test_a_class_without_a_name_is_refused(annotations, tmp_path, capsys):
    (tmp_path / "two.names").write_text("cat\ndog\n")
    args = [f"--annotations={annotations}", f"--names={tmp_path / 'two.names'}", "--index=1"]
    assert exit_code(main, args) == 2
    assert f"{annotations}:3: " in capsys.readouterr().err


def test_a_missing_image_is_named(annotations, tmp_path, capsys):
    (annotations.parent / "1.png").unlink()
    args = [f"--annotations={annotations}", "--index=1", f"--output={tmp_path / 'a.png'}"]
    assert exit_code(main, args) == 2
    assert "1.png" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_failed_work(annotations, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    args = [f"--annotations={annotations}", f"--output={tmp_path / 'file' / 'a.png'}"]
    assert exit_code(main, args) == 1
    assert "file" in capsys.readouterr().err


def test_what_is_read_is_no_output(annotations, capsys):
    image = annotations.parent / "1.png"
    before = image.read_bytes()
    args = [f"--annotations={annotations}", "--index=1", f"--output={image}"]
    assert exit_code(main, args) == 2
    assert "1.png: refusing to overwrite an input file" in capsys.readouterr().err
    assert image.read_bytes() == before


def test_before_make_data_it_names_the_command(tmp_path, monkeypatch, capsys):
    missing = tmp_path / "mnist_train.txt"
    monkeypatch.setattr(script, "TRAIN_ANNOTATIONS", missing)
    assert exit_code(main, []) == 2
    assert "make it: python mnist/make_data.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("platform", "screen", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ""}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_has_screen(monkeypatch, platform, screen, expected):
    monkeypatch.setattr(sys, "platform", platform)
    for name, value in screen.items():
        monkeypatch.setenv(name, value)
    assert has_screen() is expected


class Windows:
    """Stand in for the windows of OpenCV: keep what is shown, press a key on the third look."""

    def __init__(self, monkeypatch, closed: bool = False):
        import cv2

        self.shown, self.looks, self.closed = [], 0, closed
        monkeypatch.setattr(cv2, "imshow", lambda _title, image: self.shown.append(image))
        monkeypatch.setattr(cv2, "waitKey", self.wait_key)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_args: 0.0 if self.closed else 1.0)

    def wait_key(self, _milliseconds):
        self.looks += 1
        return 27 if self.looks == 3 else -1


@pytest.mark.parametrize(("closed", "looks"), [(False, 3), (True, 1)])
def test_where_there_is_a_screen_it_shows_what_it_saved(
    annotations, tmp_path, monkeypatch, closed, looks
):
    monkeypatch.setenv("DISPLAY", ":0")
    windows = Windows(monkeypatch, closed)
    output = tmp_path / "a.png"
    assert main([f"--annotations={annotations}", f"--output={output}"]) == 0
    np.testing.assert_array_equal(windows.shown[0][..., ::-1], saved(output))  # BGR for OpenCV
    assert windows.looks == looks


@pytest.mark.parametrize(("display", "flags"), [(":0", ["--no-show"]), ("", [])])
def test_no_window_without_a_screen_or_if_not_wanted(
    annotations, tmp_path, monkeypatch, display, flags
):
    monkeypatch.setenv("DISPLAY", display)
    windows = Windows(monkeypatch)
    assert main([f"--annotations={annotations}", f"--output={tmp_path / 'a.png'}", *flags]) == 0
    assert not windows.shown and (tmp_path / "a.png").exists()


def test_an_opencv_without_windows_is_no_failure(annotations, tmp_path, monkeypatch, capsys):
    import cv2

    def imshow(*_args):
        raise cv2.error("not implemented")

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "imshow", imshow)
    assert main([f"--annotations={annotations}", f"--output={tmp_path / 'a.png'}"]) == 0
    assert "no window" in capsys.readouterr().out


def test_the_command_works_from_anywhere(annotations, tmp_path):
    flags = ["--annotations=list.txt", f"--output={tmp_path / 'a.png'}"]
    result = run(annotations.parent, "mnist/show_image.py", *flags)
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "a.png").exists()
