"""show_image: the image it saves, the window it opens or not, and the errors it prints."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from script_runs import exit_code, run

from mnist import show_image as script
from mnist.show_image import main


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
    flags = ["--annotations=list.txt", f"--output={tmp_path / 'a.png'}"]
    result = run(annotations.parent, "mnist/show_image.py", *flags)
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "a.png").exists()
