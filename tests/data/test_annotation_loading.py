"""Annotation files loaded for use: bad lines, classes, train and test together."""

import numpy as np
import pytest
from PIL import Image

from yolov3.annotations import Record
from yolov3.configs import Config
from yolov3.data import annotation_check
from yolov3.data.annotation_check import (
    describe_classes,
    describe_overlap,
    existing_file,
    fingerprint,
    load_data,
    load_records,
)

ERROR, SKIP = Config(tiny=True), Config(tiny=True, bad_lines="skip")


@pytest.fixture
def write(tmp_path):
    """Return a function that writes an annotation file beside a.png of 60 x 40 pixels."""
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")

    def write_file(text):
        (tmp_path / "x.txt").write_text(text)
        return str(tmp_path / "x.txt")

    return write_file


def test_one_bad_line_is_one_line_of_error(write):
    path = write("a.png 1,2,3,4,0\na.png 1,2,3,4,7\n")
    with pytest.raises(ValueError) as error:
        load_records(path, ERROR, 1)
    assert str(error.value) == (
        f"{path}:2: expected a label in [0, 0]; received '1,2,3,4,7' "
        "(labels count from 0; class names or weights may be those of another task; "
        "--bad-lines skip uses the good lines alone)"
    )


def test_many_bad_lines_are_a_report_with_the_first_ten_of_each_kind(write):
    path = write("a.png 1,2,3,4,0\n" + "gone.png\n" * 12 + "a.png 9,9,1,1,0\n" * 2)
    with pytest.raises(ValueError) as error:
        load_records(path, ERROR, 1)
    lines = str(error.value).splitlines()
    assert lines[0] == f"{path}: 1 good line, 1 box, 14 bad lines, 0 warnings"
    assert lines[1] == "bad: missing image: 12" and lines[12] == "  and 2 more"
    assert lines[13] == "bad: inverted or empty box: 2"
    assert [line.split(":")[0] for line in lines[14:16]] == ["  line 14", "  line 15"]
    assert lines[16:] == ["--bad-lines skip uses the good lines alone"]


def test_skip_tells_the_same_and_uses_the_good_lines(write, capsys):
    text = "gone.png\na.png 1,2,3,4,0\na.png 9,9,1,1,0\n"
    path = write(text)
    with pytest.raises(ValueError) as error:
        load_records(path, ERROR, 1)
    assert [record.line for record in load_records(path, SKIP, 1)] == [2]
    assert [record.line for record in load_records(path, ERROR, 1, bad_lines="skip")] == [2]
    report = str(error.value).rsplit("\n", 1)[0]
    assert capsys.readouterr().out == f"{report}\nusing the good lines alone\n" * 2
    with open(path) as stream:
        assert stream.read() == text


def test_skipping_all_lines_is_an_error(write):
    for text in ("gone.png\n", "gone.png\na.png 9,9,1,1,0\n"):
        with pytest.raises(ValueError, match="missing image|no such file") as error:
            load_records(write(text), SKIP, 1)
        assert "--bad-lines" not in str(error.value)


def test_warnings_are_printed(write, capsys):
    path = write("a.png 2,2,7,6,0 2,2,7,6,0\n")
    assert len(load_records(path, ERROR, 1)) == 1
    assert capsys.readouterr().out == (
        f"{path}: 1 good line, 2 boxes, 0 bad lines, 1 warning\n"
        "warning: box listed twice: 1\n  line 1: 2,2,7,6\n"
    )


# What is in a data set


def records_of(*labels):
    return [Record("/x", np.zeros((len(row), 4), np.float32), np.int32(row), 1) for row in labels]


def test_classes_are_counted_in_one_line_however_many():
    names = [f"c{number}" for number in range(80)]
    lines = describe_classes("x.txt", records_of([0, 2, 2], [2]), ["a", "b", "c"])
    assert lines == ["x.txt: boxes per class: a 1, c 3", "x.txt: 1 class without a box: b"]
    many = [0] * 1234 + list(range(1, 15))
    first, second = describe_classes("x.txt", records_of(many), names)
    assert first.startswith("x.txt: boxes per class: c0 1,234, c1 1, ") and len(first) < 200
    assert first.endswith("c11 1 and 3 more")
    assert second.startswith("x.txt: 65 classes without a box: c15, ")
    none, _ = describe_classes("x.txt", [], ["a"])
    assert none == "x.txt: boxes per class: none"


@pytest.fixture
def two_files(folder, monkeypatch):
    """Write train.txt and test.txt with an image of one content and two that agree in size."""
    monkeypatch.chdir(folder)
    pixels = np.arange(90_000, dtype=np.uint8).reshape(100, 300, 3)
    for name, place in (("d.bmp", 0), ("e.bmp", 7)):  # the middle and the end are the same
        pixels[0, place] += 1
        Image.fromarray(pixels[::-1]).save(folder / name)
    (folder / "copy.png").write_bytes((folder / "a b.png").read_bytes())
    (folder / "train.txt").write_text("c.jpg 1,2,3,4,0\na b.png 1,2,3,4,0\nd.bmp\n")
    (folder / "test.txt").write_text("e.bmp\ncopy.png 1,2,3,4,0\n")
    return [
        Config(train_annot_path="train.txt", test_annot_path=x)
        for x in ("test.txt", "", "train.txt")
    ]


def test_images_of_training_and_test_are_compared_by_content(two_files, capsys):
    config, without_test, same_file = two_files
    train, test = load_data(config, ["a", "b"])
    assert (len(train), len(test)) == (3, 2)
    assert capsys.readouterr().out.splitlines() == [
        "train.txt: boxes per class: a 2",
        "train.txt: 1 class without a box: b",
        "test.txt: boxes per class: a 1",
        "test.txt: 1 class without a box: b",
        "warning: test.txt shares 1 of 2 images with train.txt, by their content: 'copy.png' is "
        "'a b.png' (lines 2 and 2)",
    ]
    assert describe_overlap("x", train[:1], "y", test) == ""
    assert load_data(without_test, ["a"])[1] == []
    assert capsys.readouterr().out == "train.txt: boxes per class: a 2\n"
    load_data(same_file, ["a"])
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_other_numbers_in_the_names_of_the_test_end_a_training(two_files, folder):
    (folder / "test.names").write_text("b\n")
    with pytest.raises(ValueError, match="test.txt: class 0 is 'b' in test.names, but 'a' in"):
        load_data(two_files[0], ["a", "b"])


@pytest.mark.parametrize("name", ["mnist/mnist_test.txt", "gone.txt"])
def test_a_file_that_is_missing_is_named_with_what_makes_the_tutorials(monkeypatch, tmp_path, name):
    monkeypatch.setattr(annotation_check, "REPO", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"{name}: expected a file; there is none") as error:
        existing_file(name)
    assert ("python mnist/make_data.py" in str(error.value)) == ("mnist" in name)


def test_a_fingerprint_is_that_of_images_and_boxes_and_not_of_folders():
    box, label = np.float32([[1, 2, 3, 4]]), np.int32([0])
    record = Record("/a/x.png", box, label, 1)
    assert fingerprint([record]) == fingerprint([Record("/b/x.png", box.copy(), label, 7)])
    others = [
        [],
        [record, record],
        [Record("/a/y.png", box, label, 1)],
        [Record("/a/x.png", box + 1, label, 1)],
        [Record("/a/x.png", box, label + 1, 1)],
        [Record("/a/\udce9.png", box, label, 1)],  # a name that is not UTF-8
    ]
    assert len({fingerprint(records) for records in [[record], *others]}) == 1 + len(others)
