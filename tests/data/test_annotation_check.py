"""Whole annotation files: the report, and loading them for use."""

import random

import numpy as np
import pytest
from hypothesis import given, settings

from tests.torture import annotation_files
from yolov3.configs import Config
from yolov3.data import annotation_check
from yolov3.data.annotation_check import (
    check_annotations,
    load_data,
    load_records,
)


def check(folder, text, num_classes=10, **options):
    path = folder / "train.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    report = check_annotations(path, num_classes, **options)
    return report.records, report


def kinds(found):
    return [(one.kind, one.line) for one in found]


def test_a_clean_file_is_clean(folder, capsys):
    records, report = check(folder, "a b.png 1,2,30,40,0 5,6,7,8,9\nc.jpg\n")
    assert report.ok and report.problems == report.warnings == []
    assert str(report) == f"{folder}/train.txt: 2 good lines, 2 boxes, 0 bad lines, 0 warnings"
    assert [record.image_path for record in records] == [f"{folder}/a b.png", f"{folder}/c.jpg"]
    np.testing.assert_array_equal(records[0].boxes_xyxy, [[1, 2, 30, 40], [5, 6, 7, 8]])
    assert len(load_records(str(report.path), Config(), 10)) == 2
    assert capsys.readouterr() == ("", "")


def test_every_bad_line_is_found_at_once(folder):
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no image")
    (folder / "cut.png").write_bytes((folder / "a b.png").read_bytes()[:20])
    (folder / "directory.png").mkdir()
    text = b"""a b.png 1,2,3
none.png 1,2,3,4,0
empty.png
text.png
cut.png
directory.png
c.jpg 1,2,3,4,0
a b.png 1,2,nan,4,0
a b.png 1,2,1,4,0
a b.png 1,2,3,4,10
a b.png 1,2,30,42,0
"""
    records, report = check(folder, text + b"\xff.png\n")
    assert not report.ok and [record.line for record in records] == [7]
    assert kinds(report.problems) == [
        ("not a box", 1),
        ("missing image", 2),
        ("unreadable image", 3),
        ("unreadable image", 4),
        ("unreadable image", 5),
        ("unreadable image", 6),
        ("not a number", 8),
        ("inverted or empty box", 9),
        ("class out of range", 10),
        ("box outside its image", 11),
        ("not UTF-8", 12),
    ]
    assert "(an empty file)" in report.problems[2].message
    assert "(a folder)" in report.problems[5].message
    assert "inside the 60x40 image; received 1,2,30,42" in report.problems[9].message


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ("0,0,60,40", [0, 0, 60, 40]),
        ("-1,-0.5,61,41", [0, 0, 60, 40]),
        ("0,-1.1,60,40", None),
        ("0,0,61.1,40", None),
        ("60,0,61,40", None),  # within the tolerance, but nothing of it is in the image
    ],
)
def test_boxes_may_reach_one_pixel_over_the_edge_and_are_clipped(folder, box, expected):
    records, report = check(folder, f"a b.png 5,5,9,9,2 {box},3\nc.jpg 1,1,2,2,0\n")
    if expected is None:
        assert kinds(report.problems) == [("box outside its image", 1)]
        assert [record.line for record in records] == [2]
    else:
        assert report.ok
        np.testing.assert_array_equal(records[0].boxes_xyxy, [[5, 5, 9, 9], expected])
        assert records[0].boxes_xyxy.dtype == np.float32


def test_duplicates_are_warnings(folder):
    text = f"a b.png 1,2,3,4,0 5,6,7,8,0 1,2,3,4,0\nc.jpg 1,2,3,4,0 1,2,3,4,1\n{folder}/./a b.png\n"
    records, report = check(folder, text)
    assert report.ok and len(records) == 3
    assert kinds(report.warnings) == [("image listed twice", 3), ("box listed twice", 1)]
    assert report.warnings[0].message == f"'{folder}/./a b.png' is in line 1, too"
    assert report.warnings[1].message == "1,2,3,4"


def test_many_lines_are_judged_as_plain_python_judges_each(folder):
    chance = random.Random(0)
    text, kept, outside, repeated = "", [], [], []
    for line in range(1, 301):
        boxes = []
        for _ in range(line % 6):
            x, y = chance.choice([-2, -1, 0, 5, 9]), chance.choice([0, 7])
            boxes.append((x, y, chance.choice([12, 60, 61]), chance.choice([30, 40]), y))
        text += " ".join(["a b.png", *(",".join(map(str, box)) for box in boxes)]) + "\n"
        if too_far := [box for box in boxes if box[0] < -1]:
            outside.append((line, "{},{},{},{}".format(*too_far[0])))
            continue
        clipped = [(max(x, 0), y, min(right, 60), bottom, c) for x, y, right, bottom, c in boxes]
        kept.append([list(box[:4]) for box in clipped])
        for place, box in enumerate(clipped):
            if box in clipped[:place]:
                repeated.append((line, "{},{},{},{}".format(*box)))
    records, report = check(folder, text)
    assert [record.boxes_xyxy.tolist() for record in records] == kept
    assert [(one.line, one.message.split()[-1]) for one in report.problems] == outside
    found = [one for one in report.warnings if one.kind == annotation_check.SAME_BOX]
    assert [(one.line, one.message) for one in found] == repeated
    assert min(map(len, (kept, outside, repeated))) > 10


def test_files_without_boxes_or_with_fractions_are_warned_of(folder):
    assert annotation_check.FRACTIONS in str(check(folder, "c.jpg 0.1,0.2,0.3,1,0\n")[1])
    assert annotation_check.NO_BOX in str(check(folder, "c.jpg\na b.png\n")[1])
    with pytest.raises(ValueError, match="train.txt: expected objects to train on; no line has a"):
        load_data(Config(train_annot_path=str(folder / "train.txt"), test_annot_path=""), ["a"])


def test_utf16_is_one_error_rather_than_one_per_line(folder):
    with pytest.raises(ValueError, match=r"train.txt: expected UTF-8 text; received UTF-16 \(save"):
        check(folder, ("c.jpg\n" * 9).encode("utf-16"))


def test_odd_letters_and_long_names_do_not_spoil_the_report(folder):
    names = ["\x1b[2J.png", "x" * 100_000 + ".png", "\0.png"]
    _, report = check(folder, "\n".join(names))
    assert kinds(report.problems) == [
        ("missing image", 1),
        ("unreadable image", 2),
        ("not a box", 3),
    ]
    assert report.problems[1].message.endswith("(File name too long)")
    assert len(str(report)) < 1000 and all(map(str.isprintable, str(report).split("\n")))


def test_each_line_of_any_file_is_a_record_or_a_problem(tmp_path):
    annotation_files.make_images(tmp_path / "images")

    @settings(max_examples=300, deadline=None)
    @given(annotation_files.files())
    def check_any(content):
        annotation_files.check(tmp_path / "images" / "annotations.txt", content)

    check_any()
