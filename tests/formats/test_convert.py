"""tools/convert.py as a command: its summary, and bad input in one line."""

import pytest
from format_samples import lines, write_voc
from script_runs import run

TOOL = "tools/convert.py"


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "voc", "none", "--to", "coco", "x"], "error: none: expected a text file; rec"),
        (["--from", "xml", "a", "--to", "coco", "x"], "--from: expected one of annotations, voc"),
        (["--from", "annotations", "a", "--to", "coco", "x"], "a: expected class names for its"),
        (
            ["--from", "yolo", "a", "--to", "coco", "x", "--trust-sizes"],
            "--trust-sizes: expected --from voc or coco; received 'yolo'",
        ),
    ],
)
def test_the_tool_answers_bad_input_with_one_line(folder, arguments, message):
    result = run(folder, TOOL, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr.splitlines()[-1] and "Traceback" not in result.stderr
