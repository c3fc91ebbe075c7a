"""Annotation files and class name files: what is read, and errors that name file and line."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolov3.annotations import format_line, read_annotations, read_class_names
from yolov3.configs import REPO


def write(tmp_path, content):
    path = tmp_path / "train.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_reads_paths_boxes_classes_and_lines(tmp_path):
    path = write(tmp_path, "/a/b.png 1,2,3,4,0 10,20,30.5,40,9\n\nsub/c.jpg 5,6,7,8,3\n")
    first, second = read_annotations(path, 10)
    assert first.image_path == "/a/b.png"
    assert second.image_path == str(tmp_path / "sub" / "c.jpg")
    np.testing.assert_array_equal(first.boxes_xyxy, [[1, 2, 3, 4], [10, 20, 30.5, 40]])
    np.testing.assert_array_equal(first.classes, [0, 9])
    assert first.boxes_xyxy.dtype == np.float32 and first.classes.dtype == np.int32
    assert (first.line, second.line) == (1, 3)


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path, monkeypatch):
    write(tmp_path, "b.png\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (record,) = read_annotations("../train.txt")
    assert os.path.normpath(record.image_path) == str(tmp_path / "b.png")
    assert os.path.isabs(record.image_path)


def test_a_bad_line_is_an_error_that_names_file_and_line(tmp_path):
    path = write(tmp_path, "/a/b.png 1,2,3,4,9\n/a/b.png 1,2,3,4,10\n/a/b.png 4,2,3,4,0\n")
    with pytest.raises(ValueError) as error:
        read_annotations(path, 10)
    assert str(error.value) == f"{path}:2: expected a label in [0, 9]; received '1,2,3,4,10'"


def test_byte_order_mark_line_ends_and_white_space_do_not_matter(tmp_path):
    content = (
        b"\xef\xbb\xbf/a/b.png 1,2,3,4,0 \t\r\n \t\r\n\r/a/c.png\t1,2,3,4,0\r/a/d.png 1,2,3,4,0"
    )
    records = read_annotations(write(tmp_path, content))
    assert [os.path.basename(record.image_path) for record in records] == [
        "b.png",
        "c.png",
        "d.png",
    ]
    assert [record.line for record in records] == [1, 4, 5]
    assert [record.classes.tolist() for record in records] == [[0]] * 3


def test_line_separators_of_unicode_are_part_of_the_path(tmp_path):
    [record] = read_annotations(write(tmp_path, "/a/b\u2028c\x0b\x85.png\n"))
    assert record.image_path == "/a/b\u2028c\x0b\x85.png"


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
    with pytest.raises(ValueError, match="expected .*a folder"):
        read_annotations(tmp_path)


def test_the_file_is_not_changed(tmp_path):
    content = b"\xef\xbb\xbfa.png 1,2,3,4,0 \r\n\r\n"
    path = write(tmp_path, content)
    read_annotations(path)
    assert path.read_bytes() == content


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


fragments = st.sampled_from(
    [b"/a/b.png", b" ", b"\t", b"\n", b"\r", b",", b"1", b"-", b".", b"e9", b"1,2,3,4,0", b"nan"]
)
files = st.binary(max_size=200) | st.lists(fragments, max_size=40).map(b"".join)


def test_any_file_is_read_or_is_a_value_error(tmp_path):
    @settings(max_examples=400, deadline=None)
    @given(files)
    def check(content):
        path = write(tmp_path, content)
        for read in (read_annotations, read_class_names):
            try:
                found = read(path)
            except ValueError as error:
                assert str(error).startswith(str(path))
            else:
                assert found

    check()


def test_class_names_are_stripped(tmp_path):
    path = write(tmp_path, "\ufeffzero\r\n\r\ntraffic light \nzwölf\n")
    assert read_class_names(path) == ["zero", "traffic light", "zwölf"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b" \n", "names.*received no name"),
        (b"a\nb\na\n", "names:3: expected a new class name; received 'a' of line 1"),
        (b"a\n\xff\n", "names:2: expected UTF-8"),
        (b"\xff\xfea\0\n\0", "names: expected UTF-8 text; received UTF-16"),
        (b"a\n\0\0", r"names:2: expected a class name; received '\\x00\\x00'"),
        (b"\x1b[2J", r"names:1: expected a class name; received '\\x1b\[2J'"),
        (b"a" * 2**20 + b"\n", "names: expected a text file; received 1048577 bytes, more than"),
        (None, "names: expected .*No such file"),
    ],
)
def test_bad_class_names_are_errors(tmp_path, content, message):
    path = tmp_path / "names"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_class_names(path)


def test_tensorflow_is_not_imported():
    imports = "import sys, yolov3.data.annotation_check, yolov3.draw"
    code = f"{imports}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO).returncode == 0
