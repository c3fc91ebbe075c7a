import numpy as np
import pytest
from PIL import Image

from yolov3.configs import ANCHORS, STRIDES
from yolov3.data.annotation_check import check_annotations


def save(path):
    Image.new("RGB", (60, 40)).save(path)


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "a b.png")
    save(tmp_path / "c.jpg")
    return tmp_path


def check(folder, text, num_classes=10, **options):
    path = folder / "train.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return check_annotations(path, num_classes, **options)


def kinds(found):
    return [(one.kind, one.line) for one in found]


def test_a_clean_file_is_clean(folder):
    records, report = check(folder, "a b.png 1,2,30,40,0 5,6,7,8,9\nc.jpg\n")
    assert report and report.problems == report.warnings == [] and report.counts == {}
    assert str(report) == f"{folder}/train.txt: 2 good lines, 2 boxes, 0 bad lines, 0 warnings"
    assert [record.image_path for record in records] == [f"{folder}/a b.png", f"{folder}/c.jpg"]
    np.testing.assert_array_equal(records[0].boxes_xyxy, [[1, 2, 30, 40], [5, 6, 7, 8]])


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
    assert not report and [record.line for record in records] == [7]
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
    assert report.counts["unreadable image"] == 4
    assert "(an empty file)" in report.problems[2].message
    assert "(a folder)" in report.problems[5].message
    assert "inside the 60x40 image; received 1,2,30,42" in report.problems[9].message


def test_one_problem_is_one_line_and_more_are_a_report_of_the_first_ten(folder):
    _, one = check(folder, "a b.png 1,2,3,4,0\nc.jpg 1,2,3,4,99\n")
    assert one.error == (f"{folder}/train.txt:2: expected a label in [0, 9]; received '1,2,3,4,99'")
    _, many = check(folder, "c.jpg\n" + "none.png\n" * 12)
    assert many.error == str(many)
    lines = str(many).splitlines()
    assert lines[0].endswith("1 good line, 0 boxes, 12 bad lines, 0 warnings")
    assert lines[1] == "bad: missing image: 12"
    assert lines[2].startswith("  line 2: expected an image; received ")
    assert len(lines) == 13 and lines[-1] == "  and 2 more"


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ("0,0,60,40", [0, 0, 60, 40]),
        ("-1,-0.5,61,41", [0, 0, 60, 40]),
        ("-1.1,0,60,40", None),
        ("0,-1.1,60,40", None),
        ("0,0,61.1,40", None),
        ("0,0,60,41.1", None),
        ("60,0,61,40", None),  # within the tolerance, but nothing of it is in the image
    ],
)
def test_boxes_may_reach_one_pixel_over_the_edge_and_are_clipped(folder, box, expected):
    records, report = check(folder, f"a b.png 5,5,9,9,2 {box},3\nc.jpg 1,1,2,2,0\n")
    if expected is None:
        assert kinds(report.problems) == [("box outside its image", 1)]
        assert [record.line for record in records] == [2]
    else:
        assert report
        np.testing.assert_array_equal(records[0].boxes_xyxy, [[5, 5, 9, 9], expected])
        assert records[0].boxes_xyxy.dtype == np.float32


def test_duplicates_are_warnings(folder):
    text = f"a b.png 1,2,3,4,0 5,6,7,8,0 1,2,3,4,0\nc.jpg 1,2,3,4,0 1,2,3,4,1\n{folder}/./a b.png\n"
    records, report = check(folder, text)
    assert report and len(records) == 3
    assert kinds(report.warnings) == [("image listed twice", 3), ("box listed twice", 1)]
    assert "of line 1" in report.warnings[0].message
    assert "received 1,2,3,4 again" in report.warnings[1].message


def test_byte_order_mark_and_line_ends_are_warnings(folder):
    text = b"\xef\xbb\xbfa b.png\n\nc.jpg 1,2,3,4,0\r\n\r\r"
    records, report = check(folder, text)
    assert report and len(records) == 2
    assert kinds(report.warnings) == [("byte-order mark", 1), ("line ends", 3)]
    assert "received 1 CRLF and 2 CR" in report.warnings[1].message
    assert (folder / "train.txt").read_bytes() == text


def test_an_empty_or_missing_file_is_an_error(folder):
    with pytest.raises(ValueError, match="no annotated image"):
        check(folder, "\n")
    with pytest.raises(ValueError, match="none.txt: expected"):
        check_annotations(folder / "none.txt", 10)


def test_a_file_of_bad_lines_only_gives_no_records(folder):
    records, report = check(folder, "none.png\n", anchors=ANCHORS, strides=STRIDES, input_size=416)
    assert records == [] and kinds(report.problems) == [("missing image", 1)]
