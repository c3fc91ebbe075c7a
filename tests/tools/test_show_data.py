"""tools/show_data.py: tiles and figures, and bad input in one line."""

import numpy as np
import pytest
from made_fonts import make_font
from PIL import Image
from script_runs import run

import show_data
from yolov3.annotations import Record
from yolov3.augment import Augmentation

TOOL = "tools/show_data.py"
RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (60, 40), BLUE).save(tmp_path / "a $b^2.png")  # no formula, as a title
    Image.new("L", (30, 90)).save(tmp_path / "grey.png")
    (tmp_path / "a.txt").write_text("a $b^2.png 10,5,20,25,1 0,0,60,40,0\ngrey.png\n")
    (tmp_path / "names").write_text("cat\ndog $x_1$\n")
    return tmp_path


def test_the_tool_draws_both_images(folder, capsys):
    command = [str(folder / "a.txt"), "--names", str(folder / "names"), "--count", "2"]
    command += ["--augment-mosaic", "0"]
    assert show_data.main([*command, "--output", str(folder / "plain")]) == 0
    augmented = ["--output", str(folder / "both"), "--augment-flip", "1", "--augment-value", "0.2"]
    assert show_data.main([*command, *augmented]) == 0
    printed = capsys.readouterr().out
    assert "boxes per class: cat 1, dog $x_1$ 1" in printed
    assert "2 images, 2 boxes" in printed and "saved" in printed
    plain, both = (Image.open(folder / name / "images.png") for name in ("plain", "both"))
    assert plain.size == both.size == (1280, 344)
    # The blue image is in the first place of four; augmented, it comes again in the second.
    shares = [
        [np.all(np.asarray(sheet)[:, x : x + 320, :2] < 60, axis=2).mean() for x in (0, 320)]
        for sheet in (plain.convert("RGB"), both.convert("RGB"))
    ]
    assert min(shares[0][0], *shares[1]) > 0.2
    assert Image.open(folder / "plain" / "statistics.png").size == (900, 800)
    assert Image.open(folder / "both" / "statistics.png").size == (1350, 800)


@pytest.mark.filterwarnings("error")  # such as of a missing glyph
def test_letters_of_all_scripts_are_drawn_or_named(folder, installed_fonts, tmp_path, capsys):
    installed_fonts(make_font(tmp_path / "made.ttf", "人"))
    (folder / "names").write_text("人\n犬\n", encoding="utf-8")
    (folder / "a.txt").write_text("人犬.png 10,5,20,25,1 0,0,30,30,0\n", encoding="utf-8")
    Image.new("RGB", (60, 40)).save(folder / "人犬.png")
    command = [folder / "a.txt", "--names", folder / "names", "--output", folder / "out"]
    assert show_data.main(list(map(str, command))) == 0
    assert "names: class 1 is 犬\n" in capsys.readouterr().err


def test_an_augmented_tile_follows_each_image(folder):
    arguments = [str(folder / "a.txt"), "--names", "x", "--output", "x", "--count", "1"]
    args = show_data.parse_args(arguments)
    left = np.zeros((10, 20, 3), np.uint8)
    left[:, :10] = RED
    Image.fromarray(left).save(folder / "half.png")
    records = [Record(str(folder / "half.png"), np.float32([[0, 0, 10, 10]]), np.int32([0]), 1)]
    before, after = show_data.choose_tiles(records, Augmentation(flip=1.0), args)
    assert (before[0], after[0]) == ("half.png", "augmented")
    assert after[1].shape == (416, 416, 3) and (after[1][110:300, 240:] == RED).all()
    assert after[2].tolist() == [[208, 104, 416, 312]]
    assert len(show_data.choose_tiles(records, Augmentation(), args)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--augment-flip", "2"], "augment_flip: expected 0 to 1; received 2.0"),
        (["--names", "gone"], "gone: expected a text file; received No such file"),
        ([], "refusing to overwrite an input file"),
    ],
)
def test_bad_input_is_one_line_and_an_image_of_the_data_set_is_not_replaced(
    folder, arguments, message
):
    (folder / "out").mkdir()
    image = (folder / "grey.png").rename(folder / "out" / "images.png")
    before = image.read_bytes()
    (folder / "b.txt").write_text("out/images.png 0,0,10,10,0\n")
    result = run(folder, TOOL, "b.txt", "--names", "names", "--output", "out", *arguments)
    assert result.returncode == 2 and message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr and image.read_bytes() == before
