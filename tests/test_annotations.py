"""Annotation lines and files: what is read, and errors that name the line."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.torture import annotation_files
from yolov3.annotations import (
    LineError,
    decode_line,
    format_line,
    numbered_lines,
    parse_line,
    read_annotations,
    scan,
    stack_boxes,
)
from yolov3.configs import REPO

BOX = "1,2,30,40,5"


PATHS = r"""/data/my pics 2,3/img 1,2.png
/data/my pics/1,2,3,4,0/x.jpg
/data/set.png 2/img.JPEG
/data/1,2,3,4,5.png
/data/1,2,3,4,5 .bmp
/data/-1.5.webp
/data/no extension/image
/data/a,b/no extension
/データ/写真　1.png
C:\my pics\img 1.png""".split("\n")


@pytest.mark.parametrize("path", [*PATHS, "/data/a  b\t c.tif"])
@pytest.mark.parametrize(
    ("boxes", "count"), [("", 0), (f" {BOX}", 1), (f" {BOX}  1.5,2,3e1,4.,0 ", 2)]
)
def test_paths_keep_spaces_digits_and_commas(path, boxes, count):
    image_path, boxes_xyxy, classes = parse_line(path + boxes)
    assert (image_path, boxes_xyxy.shape, classes.shape) == (path, (count, 4), (count,))


BAD_BOXES = """1,2,3,4 a,b,c,d,e 1,2,3,4,5,6 1,2,inf,4,5 1,2,1e400,4,5 1,2,1e30,4,5 1_0,2,30,40,5
١,2,30,40,5 1,2,1,4,5 1,4,3,2,5 1,2,1.00000001,4,5 1,2,3,4,-1 1,2,3,4,1.5 1,2,3,4,10 1,2,3,4,1e1
1,2,3,4,cat""".split()


@pytest.mark.parametrize("path", ["/a/b 1.png", "/a/no extension"])
@pytest.mark.parametrize(
    ("boxes", "received"),
    [
        *zip(BAD_BOXES, BAD_BOXES, strict=True),
        (f"nan,2,3,4,5 {BOX}", "nan,2,3,4,5"),
        (f"{BOX} 1,,3,4,5 {BOX}", "1,,3,4,5"),
        ("1, 2, 3, 4, 5", "1,"),
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
        ("/a/\udcff.png", [1, 2, 3, 4], 0),
        ("/a/b 1,2,3,4,0", [1, 2, 3, 4], 0),
        ("/a/x.png b", [1, 2, 3, 4], 0),
        ("", [1, 2, 3, 4], 0),
        ("\ufeffb.png", [1, 2, 3, 4], 0),
        ("/a/b.png", [3, 2, 1, 4], 0),
        ("/a/b.png", [1, 2, np.nan, 4], 0),
        ("/a/b.png", [1, 2, 3, 4], -1),
    ],
)
def test_format_line_refuses_what_cannot_be_read_back(path, box, label):
    with pytest.raises(LineError):
        format_line(path, [box], [label])


# Files


def write(tmp_path, content):
    path = tmp_path / "train.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_reads_paths_boxes_classes_and_lines(tmp_path, monkeypatch):
    write(tmp_path, "/a/b.png 1,2,3,4,0 10,20,30.5,40,9\n\nsub/c.jpg 5,6,7,8,3\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # relative paths start at the folder of the file
    first, second = read_annotations("../train.txt", 10)
    assert first.image_path == "/a/b.png"
    assert os.path.isabs(second.image_path)
    assert os.path.normpath(second.image_path) == str(tmp_path / "sub" / "c.jpg")
    np.testing.assert_array_equal(first.boxes_xyxy, [[1, 2, 3, 4], [10, 20, 30.5, 40]])
    np.testing.assert_array_equal(first.classes, [0, 9])
    assert first.boxes_xyxy.dtype == np.float32 and first.classes.dtype == np.int32
    assert (first.line, second.line) == (1, 3)


def test_a_bad_line_is_an_error_that_names_file_and_line(tmp_path):
    path = write(tmp_path, "/a/b.png 1,2,3,4,9\n/a/b.png 1,2,3,4,10\n/a/b.png 4,2,3,4,0\n")
    with pytest.raises(ValueError) as error:
        read_annotations(path, 10)
    assert str(error.value) == f"{path}:2: expected a label in [0, 9]; received '1,2,3,4,10'"


def test_byte_order_mark_line_ends_and_white_space_do_not_matter(tmp_path):
    # The separators of lines in Unicode are part of a path.
    content = (
        "\ufeff/b.png 1,2,3,4,0 \t\r\n \t\r\n\r/c\u2028\x0b.png\t1,2,3,4,0\r/d.png 1,2,3,4,0.0"
    )
    records = read_annotations(write(tmp_path, content))
    assert [one.image_path for one in records] == ["/b.png", "/c\u2028\x0b.png", "/d.png"]
    assert [record.line for record in records] == [1, 4, 5]
    assert [record.classes.tolist() for record in records] == [[0]] * 3


@pytest.mark.parametrize("bad", ["/a/ä.png".encode("latin-1"), "/a/b.png".encode("utf-16")])
def test_other_encodings_are_errors_that_name_the_line(tmp_path, bad):
    with pytest.raises(ValueError, match=r"train\.txt:2: expected UTF-8 text; received b'"):
        read_annotations(write(tmp_path, b"/a/b.png\n" + bad + b"\n"))


def test_bad_lines_are_passed_over_where_that_is_wanted(tmp_path):
    path = write(tmp_path, "/a/b.png 1,2,3\n/a/c.png\n")
    [record] = read_annotations(path, skip_bad=True)
    assert (record.image_path, record.line) == ("/a/c.png", 2)
    with pytest.raises(ValueError, match=r"train\.txt:1: "):
        read_annotations(write(tmp_path, "/a/b.png 1,2,3\n"), skip_bad=True)


@pytest.mark.parametrize("content", [b"", b"\n \n\r\n", b"\xef\xbb\xbf"])
def test_a_file_without_images_is_an_error(tmp_path, content):
    with pytest.raises(ValueError, match=r"train\.txt: no annotated image"):
        read_annotations(write(tmp_path, content))


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="none.txt: expected .*No such file"):
        read_annotations(tmp_path / "none.txt")
    with pytest.raises(ValueError, match="this is a folder, not a file"):
        read_annotations(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"images": [], "annotations": []}', "this is JSON, .*--from coco"),
        ('\ufeff{\n  "images": [\n', "this is JSON, .*--from coco"),
        ('<?xml version="1.0"?>', "this is XML, .*--from voc"),
        ("# Roboflow\n\ntrain: ../train/images\nnc: 1\n", "this is YAML, .*--from yolo"),
    ],
)
def test_a_file_of_another_format_says_how_to_convert_it(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_annotations(write(tmp_path, content))


def test_brackets_may_begin_a_path(tmp_path):
    for name in ("[set]/a.png", "{}/a.png", "<a>.png"):
        [record] = read_annotations(write(tmp_path, name))
        assert record.image_path.endswith(name)


coordinates = st.floats(0, 5000, width=32)
boxes = st.lists(
    st.tuples(coordinates, coordinates, coordinates, coordinates, st.integers(0, 79)).filter(
        lambda box: box[0] < box[2] and box[1] < box[3]
    ),
    max_size=5,
)
names = st.text("ab 12,.-_é/", min_size=1, max_size=30).map(lambda name: f"/x{name}y.png")


def test_what_format_line_writes_is_read_back(tmp_path):
    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.tuples(names, boxes), min_size=1, max_size=4))
    def check(images):
        tables = [np.array(boxes, np.float32).reshape(-1, 5) for _, boxes in images]
        lines = [
            format_line(name, table[:, :4], table[:, 4].astype(int))
            for (name, _), table in zip(images, tables, strict=True)
        ]
        records = read_annotations(write(tmp_path, "\n".join(lines)), 80)
        assert [record.image_path for record in records] == [name for name, _ in images]
        for record, table in zip(records, tables, strict=True):
            np.testing.assert_array_equal(record.boxes_xyxy, table[:, :4])
            np.testing.assert_array_equal(record.classes, table[:, 4])

    check()


number = st.sampled_from(
    "0 7 12.5 3. 007 40.0625 16777216 16777217 99999999 123456789 1e2 -1".split()
)
odd_boxes = st.lists(st.tuples(*[number] * 5).map(",".join), max_size=3).map(" ".join)
odd_lines = st.lists(st.tuples(names, odd_boxes).map(" ".join), max_size=9).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(st.one_of(annotation_files.files(), odd_lines.map(str.encode)))
def test_a_file_reads_as_its_lines_do_one_by_one(content):
    expected, faults = [], []
    for line, raw in numbered_lines(content):
        try:
            if text := decode_line(raw):
                expected.append((line, *parse_line(text, 8)))
        except LineError as error:
            faults.append((line, error.kind, str(error)))
    try:
        records, problems = scan(content, "/data/train.txt", 8)
    except ValueError:
        return  # no line, or another format
    assert [(one.line, one.kind, one.message) for one in problems] == faults
    assert len(records) == len(expected)
    for record, (line, path, boxes_xyxy, classes) in zip(records, expected, strict=True):
        assert (record.line, record.image_path) == (line, os.path.join("/data", path))
        np.testing.assert_array_equal(record.boxes_xyxy, boxes_xyxy)
        np.testing.assert_array_equal(record.classes, classes)
    for ours, of_list in zip(stack_boxes(records), stack_boxes(list(records)), strict=True):
        np.testing.assert_array_equal(ours, of_list)


def test_records_are_a_sequence_and_can_be_chosen_from(tmp_path):
    lines = [f"/{i}.png" + " 1,2,3,4,5" * i for i in range(4)]
    records = read_annotations(write(tmp_path, "\n".join(lines)))
    assert [len(one.classes) for one in records[3:0:-2]] == [3, 1]
    assert records[-1].image_path == records[np.int64(3)].image_path == "/3.png"
    with pytest.raises(IndexError):
        records[4]
    kept = records.select(np.array([False, True, False, True]))
    assert [(one.line, len(one.boxes_xyxy)) for one in kept] == [(2, 1), (4, 3)]
    assert stack_boxes(kept)[0].tolist() == [0, 1, 1, 1]


def test_tensorflow_is_not_imported():
    imports = "import sys, yolov3.data.annotation_check, yolov3.draw"
    code = f"{imports}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO).returncode == 0
