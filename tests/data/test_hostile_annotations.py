"""Annotation files that nobody expects: bounded, never waited for, and never another exception."""

import os

import pytest
from hypothesis import given, settings
from PIL import Image

from tests.torture import annotation_files
from yolov3 import annotations
from yolov3.data.annotation_check import check_annotations


@pytest.fixture
def folder(tmp_path):
    Image.new("RGB", (60, 40)).save(tmp_path / "a b.png")
    Image.new("RGB", (60, 40)).save(tmp_path / "c.jpg")
    return tmp_path


def check(folder, text):
    path = folder / "train.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return check_annotations(path, 10)


def kinds(found):
    return [(one.kind, one.line) for one in found]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf16_is_one_error_rather_than_one_per_line(folder, encoding):
    text = "\ufeff" * (encoding == "utf-16-be") + "c.jpg\n" * 9
    with pytest.raises(ValueError, match=r"train.txt: expected UTF-8 text; received UTF-16 \(save"):
        check(folder, text.encode(encoding))


def test_text_from_other_encodings_and_odd_letters_is_a_problem_of_its_line(folder):
    long_line = "c.jpg" + " 1,2,3,4,0" * 10
    text = "grün.png\n".encode("latin-1") + b"\x1b[2J.png\n\0.png\nc.jpg\n" + long_line.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annotations, "MAX_LINE_BYTES", 100)
        records, report = check(folder, text)
    assert [record.line for record in records] == [4]
    assert kinds(report.problems) == [
        ("not UTF-8", 1),
        ("missing image", 2),
        ("not a box", 3),
        ("line too long", 5),
    ]
    assert report.problems[3].message == "expected a line of at most 100 bytes; received 105"
    assert all(line.isprintable() for line in str(report).split("\n"))


def test_more_than_the_allowed_lines_or_bytes_are_not_read(folder, monkeypatch):
    monkeypatch.setattr(annotations, "MAX_LINES", 3)
    assert check(folder, "c.jpg\n" * 3)[1].images == 3
    for end in ("\n", "\r", "\r\n"):
        with pytest.raises(ValueError, match="train.txt: more than 3 lines"):
            check(folder, f"c.jpg{end}" * 4)
    with open(folder / "huge.txt", "wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(ValueError, match="huge.txt: expected a text file; received 1099"):
        check_annotations(folder / "huge.txt", 10)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_a_device_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe")
    for path in (folder / "pipe", "/dev/zero"):
        with pytest.raises(ValueError, match=f"{path}: .*received not a regular file"):
            check_annotations(path, 10)


def test_the_longest_name_does_not_fill_the_report(folder):
    _, report = check(folder, "x" * 100_000 + ".png\n")
    assert report.problems[0].message.endswith("(File name too long)")
    assert len(report.problems[0].message) < 400


def test_each_line_of_any_file_is_a_record_or_a_problem(tmp_path):
    annotation_files.make_images(tmp_path / "images")

    @settings(max_examples=300, deadline=None)
    @given(annotation_files.files())
    def check_any(content):
        annotation_files.check(tmp_path / "images" / "annotations.txt", content)

    check_any()
