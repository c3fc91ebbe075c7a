"""Files that are no plain files: refused at once, without waiting and without reading."""

import os

import pytest

from yolov3.files import read_bounded, regular_size


def test_a_regular_file_is_read_whole_up_to_the_bound(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert regular_size(tmp_path / "a") == 5
    assert read_bounded(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="5 bytes, more than 4"):
        read_bounded(tmp_path / "a", 4)


def test_a_sparse_file_of_terabytes_is_not_read(tmp_path):
    with open(tmp_path / "a", "wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(OSError, match=f"{2**40} bytes, more than"):
        read_bounded(tmp_path / "a", 2**30)


def odd_file(folder, kind):
    path = folder / kind
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "dangling":
        path.symlink_to(folder / "nowhere")
    return path


@pytest.mark.skipif(os.name == "nt", reason="needs pipes, devices and links")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "No such file"),
        ("folder", "a folder"),
        ("pipe", "not a regular file"),
        ("device", "not a regular file"),
        ("loop", "symbolic links"),
        ("dangling", "No such file"),
        ("x" * 300, "name too long"),
        ("a\0b", "no file has such a name"),
    ],
)
def test_anything_else_is_an_os_error_that_says_what_it_is(tmp_path, kind, reason):
    with pytest.raises(OSError) as error:
        read_bounded(odd_file(tmp_path, kind), 10)
    assert reason in error.value.strerror
