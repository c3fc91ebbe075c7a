"""show_image: the image it saves, the window it opens or not, and the errors it prints."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from script_runs import exit_code, run

from mnist import show_image as script
from mnist.show_image import main
from yolov3.data import annotation_check


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
    """Be on a machine without a screen."""
    monkeypatch.setattr(script, "can_open_window", lambda: False)


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


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--index=0"], 2, "list.txt: expected --index 1 to 3; received 0\n"),
        (["--index=4"], 2, "list.txt: expected --index 1 to 3; received 4\n"),
        (["--index=2"], 2, "2.png: expected an image; there is no such file\n"),
        (["--names=one.names"], 2, "list.txt:2: "),
        (["--output=1.png", "--index=1"], 2, "1.png: refusing to overwrite an input file\n"),
        (["--output=list.txt/a.png", "--index=1"], 1, "list.txt"),
    ],
)
def test_what_cannot_be_done_is_one_line(annotations, monkeypatch, capsys, flags, code, message):
    monkeypatch.chdir(annotations.parent)
    (annotations.parent / "2.png").unlink()
    (annotations.parent / "one.names").write_text("cat\n")
    before = (annotations.parent / "1.png").read_bytes()
    assert exit_code(main, ["--annotations=list.txt", "--output=a.png", *flags]) == code
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert (annotations.parent / "1.png").read_bytes() == before
    assert not (annotations.parent / "a.png").exists()


def test_before_make_data_it_names_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(annotation_check, "REPO", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert exit_code(main, []) == 2
    assert "data with: python mnist/make_data.py\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("has_screen", "flags", "is_shown"),
    [(True, [], True), (True, ["--no-show"], False), (False, [], False)],
)
def test_a_window_shows_what_was_saved_where_there_is_a_screen(
    annotations, tmp_path, monkeypatch, has_screen, flags, is_shown
):
    shown = []
    monkeypatch.setattr(script, "can_open_window", lambda: has_screen)
    monkeypatch.setattr(script, "open_window", lambda image, _title: shown.append(image))
    output = tmp_path / "a.png"
    assert main([f"--annotations={annotations}", f"--output={output}", *flags]) == 0
    assert len(shown) == is_shown
    for image in shown:
        np.testing.assert_array_equal(image, saved(output))


def test_the_command_works_from_anywhere(annotations, tmp_path):
    flags = ["--annotations=list.txt", f"--output={tmp_path / 'a.png'}"]  # a random image
    result = run(annotations.parent, "mnist/show_image.py", *flags)
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "a.png").exists()
