"""tools/check_annotations.py as a command: its report, exit codes, and bad input."""

import pytest
from PIL import Image
from script_runs import run

TOOL = "tools/check_annotations.py"


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (60, 40)).save(tmp_path / "a b.png")
    return tmp_path


def test_the_tool_prints_the_report_and_tells_by_its_exit_code(folder):
    (folder / "names").write_text("a\nb\n")
    (folder / "good.txt").write_text("a b.png 1,2,3,4,1\n")
    (folder / "bad.txt").write_text("a b.png 1,2,3,4,2\n")
    good = run(folder, TOOL, "good.txt", "--names", "names")
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.splitlines() == [
        "good.txt: 1 good line, 1 box, 0 bad lines, 0 warnings",
        "good.txt: boxes per class: b 1",
        "good.txt: 1 class without a box: a",
    ]
    bad = run(folder, TOOL, "bad.txt", "--names", "names")
    assert (bad.returncode, bad.stderr) == (2, "")
    assert "line 1: expected a label in [0, 1]; received '1,2,3,4,2'" in bad.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good.txt", "--names", "none"], "none: expected a text file; received No such"),
    ],
)
def test_the_tool_answers_bad_input_with_one_line(folder, arguments, message):
    (folder / "names").write_text("a\n")
    result = run(folder, TOOL, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr.splitlines()[-1] and "Traceback" not in result.stderr


def test_the_tool_finds_copies_in_one_file_and_in_two(folder):
    copy = (folder / "a b.png").read_bytes()
    (folder / "copy.png").write_bytes(copy)
    Image.new("RGB", (60, 40), "red").save(folder / "other.png")
    (folder / "names").write_text("a\nA\n")
    (folder / "x.txt").write_text("a b.png 1,2,3,4,0\ncopy.png 1,2,3,4,1\n")
    (folder / "y.txt").write_text("other.png\ncopy.png\nnone.png\n")
    (folder / "z.txt").write_text("other.png\n")
    done = run(folder, TOOL, "x.txt", "--names", "names", "--against", "y.txt")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[1] == "warning: copy of another image: 1"
    assert lines[2].endswith("copy.png' is a copy of " + repr(f"{folder}/a b.png") + " in line 1")
    assert lines[3:] == [
        "x.txt: boxes per class: a 1, A 1",
        "note: these classes differ only in case: a, A",
        "warning: x.txt shares 2 of 2 images with y.txt, by their content: 'a b.png' is "
        "'copy.png' (lines 1 and 2)",
    ]
    done = run(folder, TOOL, "x.txt", "--names", "names", "--against", "z.txt")
    assert done.stdout.splitlines()[-1] == "no image of x.txt is in z.txt"
    (folder / "x.names").write_text("A\n")
    done = run(folder, TOOL, "x.txt", "--names", "names")
    assert done.returncode == 2 and "x.txt: class 0 is 'A' in x.names, but 'a' in" in done.stderr
