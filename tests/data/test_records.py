"""Loading annotations for use: bad lines end it, or are told and left out."""

import numpy as np
import pytest
from PIL import Image

from yolov3.annotations import Record
from yolov3.configs import Config
from yolov3.data.records import fingerprint, load_records

ERROR, SKIP = Config(tiny=True), Config(tiny=True, bad_lines="skip")


@pytest.fixture
def write(tmp_path):
    """Return a function that writes an annotation file beside a.png of 60 x 40 pixels."""
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")

    def write_file(text):
        (tmp_path / "x.txt").write_text(text)
        return str(tmp_path / "x.txt")

    return write_file


def test_good_lines_are_loaded_without_a_word(write, capsys):
    [record] = load_records(write("a.png 1,2,3,4,0\n"), ERROR, 1)
    assert record.boxes_xyxy.tolist() == [[1, 2, 3, 4]]
    assert capsys.readouterr() == ("", "")


def test_one_bad_line_is_one_line_of_error(write):
    path = write("a.png 1,2,3,4,0\na.png 1,2,3,4,7\n")
    with pytest.raises(ValueError) as error:
        load_records(path, ERROR, 1)
    assert str(error.value) == (
        f"{path}:2: expected a label in [0, 0]; received '1,2,3,4,7' "
        "(--bad-lines skip goes on with the good lines alone)"
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
    assert lines[16:] == ["--bad-lines skip goes on with the good lines alone"]


def test_skip_tells_the_same_and_uses_the_good_lines(write, capsys):
    text = "gone.png\na.png 1,2,3,4,0\na.png 9,9,1,1,0\n"
    path = write(text)
    with pytest.raises(ValueError) as error:
        load_records(path, ERROR, 1)
    assert [record.line for record in load_records(path, SKIP, 1)] == [2]
    report = str(error.value).rsplit("\n", 1)[0]
    assert capsys.readouterr().out == f"{report}\ngoing on with the good lines alone\n"
    with open(path) as stream:
        assert stream.read() == text


def test_the_flag_of_a_script_comes_before_the_configuration(write, capsys):
    path = write("gone.png\na.png\n")
    assert len(load_records(path, ERROR, 1, bad_lines="skip")) == 1
    with pytest.raises(ValueError, match="gone.png"):
        load_records(path, SKIP, 1, bad_lines="error")


def test_skipping_all_lines_is_an_error(write):
    for text in ("gone.png\n", "gone.png\na.png 9,9,1,1,0\n"):
        with pytest.raises(ValueError, match="missing image|no such file") as error:
            load_records(write(text), SKIP, 1)
        assert "--bad-lines" not in str(error.value)


def test_warnings_are_printed_and_stop_nothing(write, capsys):
    assert len(load_records(write("a.png\r\n"), ERROR, 1)) == 1
    assert "warning: line ends: 1" in capsys.readouterr().out


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
