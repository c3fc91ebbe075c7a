"""tools/convert.py as a command: its flags and its summary, and bad input in one line."""

import pytest
from format_samples import lines, write_voc
from script_runs import refusal, run

import convert as tool

TOOL = "tools/convert.py"
VOC, YOLO, LINES = (["--from", name, name] for name in ("voc", "yolo", "annotations"))
TO = ["--to", "coco", "x"]


def test_the_tool_converts_and_prints_the_summary(folder):
    write_voc(folder)
    result = run(folder, TOOL, "--from", "voc", "a.xml", "--to", "annotations", "new/out.txt")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "read 1 image and 2 boxes from a.xml",
        "2 classes: cat 1, dog 1",
        "wrote new/out.txt: 1 image and 2 boxes",
        "wrote new/out.names: 2 classes",
    ]
    assert lines(folder, "new/out.txt") == ["a.png 0,0,60,40,1 10,20.5,11,30,0"]


def test_the_tool_makes_two_sets_of_several(folder, capsys):
    write_voc(folder)
    for number, name in enumerate(("a.png", "b 1,2.jpg")):
        (folder / f"{number}.txt").write_text(f"{name} 0,0,9,9,0\n")
        (folder / f"{number}.names").write_text(f"dog\nsheep {number}\n")
    sources = [word for n in (0, 1) for word in ("--from", "annotations", str(folder / f"{n}.txt"))]
    (folder / "0.names").rename(folder / "own")
    names = [word for n in ("own", "1.names") for word in ("--names", str(folder / n))]
    flags = [*names, "--rename", "dog=wolf", "--rename=sheep 0 = big sheep", "--split=0.5"]
    target = str(folder / "out.txt")
    (folder / "b 1,2.jpg").write_bytes((folder / "b 1,2.jpg").read_bytes() + b"\0")
    assert tool.main([*sources, "--to", "annotations", target, *flags, "--seed", "3"]) == 0
    assert "3 classes, boxes in train + test: wolf 1 + 1, " in capsys.readouterr().out
    assert lines(folder, "out_test.names") == ["wolf", "big sheep", "sheep 1"]


def test_folders_of_images_are_given_once_or_for_each_source():
    def images(*names):
        flags = [word for name in names for word in ("--images", name)]
        args = tool.parse_args([*VOC, *YOLO, *TO, *flags])
        return [str(path) if path else None for path in args.images]

    assert images() == [None, None] and images("a") == ["a", "a"] and images(*"ab") == ["a", "b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "voc", "none", *TO], "error: none: expected a text file; received No such"),
        (["--from", "xml", "a", *TO], "--from: expected one of annotations, voc"),
        ([*VOC, "--from", "xml", "a", *TO], "--from: expected one of annotations, voc"),
        (["--from", "annotations", "a", *TO], "a: expected class names for its labels; give"),
        ([*LINES, *TO, "--images", "a"], "--images: expected --from voc, coco or yolo; received"),
        ([*VOC, *YOLO, *VOC, *TO, *["--names", "a"] * 2], "--names: expected it once or 3 times; "),
        ([*VOC, *TO, *["--images", "a"] * 2], "--images: expected it once; received 2"),
        ([*VOC, *TO, "--split", "1"], "--split: expected a fraction between 0 and 1; received 1"),
        ([*VOC, *TO, "--split", "20"], "--split: expected a number from 0 to 1; received 20"),
        ([*VOC, *TO, "--rename", "cat"], "--rename: expected OLD=NEW, names of classes; received"),
        ([*VOC, *TO, "--rename", "a=b", "--rename", "a=c"], "--rename: expected one new name for"),
        ([*VOC, *TO, "--rename", "a=\t\n"], "--rename: expected OLD=NEW, names of classes"),
    ],
)
def test_the_tool_answers_bad_input_with_one_line(capfd, arguments, message):
    assert message in refusal(capfd, tool.main, arguments)
