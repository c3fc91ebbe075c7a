"""One annotation line: where its path ends, what a box is, and what is refused."""

import numpy as np
import pytest

from yolov3.data.annotation_line import LineError, format_line, parse_line

BOX = "1,2,30,40,5"


@pytest.mark.parametrize(
    "path",
    [
        "/data/my pics 2,3/img 1,2.png",
        "/data/my pics/1,2,3,4,0/x.jpg",
        "/data/set.png 2/img.JPEG",
        "/data/a  b\t c.tif",
        "/data/1,2,3,4,5.png",
        "/data/1,2,3,4,5 .bmp",
        "/data/-1.5.webp",
        "/data/no extension/image",
        "/data/a,b/no extension",
        "/データ/写真　1.png",
        "C:\\my pics\\img 1.png",
    ],
)
@pytest.mark.parametrize(
    ("boxes", "count"), [("", 0), (f" {BOX}", 1), (f" {BOX}  1.5,2,3e1,4.,0 ", 2)]
)
def test_paths_keep_spaces_digits_and_commas(path, boxes, count):
    image_path, boxes_xyxy, classes = parse_line(path + boxes)
    assert image_path == path
    assert len(boxes_xyxy) == len(classes) == count


def test_a_line_without_boxes_is_background():
    image_path, boxes_xyxy, classes = parse_line("/a/b.png")
    assert image_path == "/a/b.png"
    assert boxes_xyxy.shape == (0, 4) and classes.shape == (0,)


@pytest.mark.parametrize("path", ["/a/b 1.png", "/a/no extension"])
@pytest.mark.parametrize(
    ("boxes", "received"),
    [
        ("1,2,3,4", "1,2,3,4"),
        ("a,b,c,d,e", "a,b,c,d,e"),
        ("1,2,3,4,5,6", "1,2,3,4,5,6"),
        (f"nan,2,3,4,5 {BOX}", "nan,2,3,4,5"),
        ("1,2,inf,4,5", "1,2,inf,4,5"),
        ("1,2,1e400,4,5", "1,2,1e400,4,5"),
        ("1,2,1e30,4,5", "1,2,1e30,4,5"),
        ("1_0,2,30,40,5", "1_0,2,30,40,5"),
        ("١,2,30,40,5", "١,2,30,40,5"),
        (f"{BOX} 1,,3,4,5 {BOX}", "1,,3,4,5"),
        ("1, 2, 3, 4, 5", "1,"),
        ("1,2,1,4,5", "1,2,1,4,5"),
        ("1,4,3,2,5", "1,4,3,2,5"),
        ("1,2,1.00000001,4,5", "1,2,1.00000001,4,5"),
        ("1,2,3,4,-1", "1,2,3,4,-1"),
        ("1,2,3,4,1.5", "1,2,3,4,1.5"),
        ("1,2,3,4,10", "1,2,3,4,10"),
        ("1,2,3,4,1e1", "1,2,3,4,1e1"),
        ("1,2,3,4,cat", "1,2,3,4,cat"),
        ("1,2,3,4," + "9" * 5000, "1,2,3,4,9999"),
    ],
)
def test_a_bad_box_is_an_error_that_names_it(path, boxes, received):
    with pytest.raises(LineError) as error:
        parse_line(f"{path} {boxes}", num_classes=10)
    message = str(error.value)
    assert message.startswith("expected ")
    assert f"received '{received}" in message
    assert "\n" not in message and len(message) < 200


def test_whole_labels_may_be_written_as_decimals():
    _, _, classes = parse_line("a.png 1,2,3,4,3.0 1,2,3,4,3.")
    assert classes.tolist() == [3, 3]


@pytest.mark.parametrize(
    ("line", "received"),
    [
        ("/a/b.png 7 1,2,3,4,0", "'7'"),
        ("/a/b.png 1 2 3 4 0", "'1'"),
        ("/a/no extension 1,2,3,4,0 rest", "'rest'"),
        (BOX, f"'{BOX}'"),
        ("/a/b\0.png", r"'/a/b\x00.png'"),
    ],
)
def test_words_that_are_no_boxes_and_lines_without_path_are_errors(line, received):
    with pytest.raises(LineError, match="expected ") as error:
        parse_line(line)
    assert str(error.value).endswith(f"received {received}")


def test_format_line_writes_whole_numbers_without_a_point():
    boxes = np.array([[1, 2.5, 30, 40], [0, 0, 0.1, 416]])
    assert format_line("/a/b c.png", boxes, [3, 0]) == "/a/b c.png 1,2.5,30,40,3 0,0,0.1,416,0"
    assert format_line("/a/b c.png", np.zeros((0, 4)), []) == "/a/b c.png"


@pytest.mark.parametrize(
    ("path", "box", "label"),
    [
        ("/a/b\nc.png", [1, 2, 3, 4], 0),
        ("/a/b.png ", [1, 2, 3, 4], 0),
        ("/a/b 1,2,3,4,0", [1, 2, 3, 4], 0),
        ("/a/x.png b", [1, 2, 3, 4], 0),
        ("\ufeffb.png", [1, 2, 3, 4], 0),
        ("/a/\udcff.png", [1, 2, 3, 4], 0),
        ("", [1, 2, 3, 4], 0),
        ("/a/b.png", [3, 2, 1, 4], 0),
        ("/a/b.png", [1, 2, np.nan, 4], 0),
        ("/a/b.png", [1, 2, 3, 4], -1),
    ],
)
def test_format_line_refuses_what_cannot_be_read_back(path, box, label):
    with pytest.raises(ValueError):
        format_line(path, [box], [label])


def test_a_path_that_is_not_utf_8_is_named():
    with pytest.raises(LineError, match=r"expected a path in UTF-8; received '/a/\\udcff.png'"):
        format_line("/a/\udcff.png", [[1, 2, 3, 4]], [0])
