"""Sizes of many images and the errors of those that have none, and files of one content."""

import os
import tarfile

import pytest
from PIL import Image

from yolov3.data import image_files
from yolov3.data.image_files import content_keys, read_sizes


def test_each_image_has_its_size_or_its_error_in_order(tmp_path):
    for width in range(1, 41):
        Image.new("RGB", (width, 7)).save(tmp_path / f"ü {width}.png")
    sizes_wh, errors = read_sizes([str(tmp_path / f"ü {1 + i % 41}.png") for i in range(600)], "")
    widths = [1 + index % 41 for index in range(600)]
    assert sizes_wh.tolist() == [[width, 7] if width < 41 else [0, 0] for width in widths]
    assert [error.kind for error in errors.values()] == ["missing image"]
    assert read_sizes([], "")[0].shape == (0, 2)


@pytest.fixture
def many(tmp_path, monkeypatch):
    """Return the paths of 40 images, in files and in a shard, and have 8 images be many."""
    monkeypatch.setattr(image_files, "MANY", 8)
    monkeypatch.setattr(image_files, "CACHE", tmp_path / "cache" / "yolov3" / "headers.npy")
    paths = [str(tmp_path / f"{width}.png") for width in range(1, 31)]
    for width, path in enumerate(paths, start=1):
        Image.new("RGB", (width, 7)).save(path)
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for path in paths[:10]:
            tar.add(path, os.path.basename(path))
    return [*paths, *(f"{tmp_path}/s.tar#{width}.png" for width in range(1, 11))]


SIZES = [[width, 7] for width in (*range(1, 31), *range(1, 11))]


def test_headers_are_remembered_until_size_or_time_changes(many, tmp_path):
    assert read_sizes(many, "")[0].tolist() == SIZES
    for path in (many[3], many[4], tmp_path / "s.tar"):  # spoiled behind the cache's back
        status = os.stat(path)
        with open(path, "r+b") as stream:
            stream.write(bytes(600)[: status.st_size])
        os.utime(path, ns=(0, status.st_mtime_ns))
    assert read_sizes(many, "")[0].tolist() == SIZES
    os.utime(many[3], ns=(0, 0))
    with open(many[4], "ab") as stream:
        stream.write(b"more")
    os.utime(tmp_path / "s.tar", ns=(0, 0))
    os.remove(many[5])
    sizes_wh, errors = read_sizes(many, "")
    assert sizes_wh.tolist() == [
        [0, 0] if path in errors else size for path, size in zip(many, SIZES, strict=True)
    ]
    assert set(errors) == {*many[3:6], *many[30:]}


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_a_cache_that_cannot_be_read_or_written_does_no_harm(many, tmp_path, content):
    if content is None:
        (tmp_path / "cache").write_text("a file in place of the folder")
    else:
        read_sizes(many, "")
        [file] = (tmp_path / "cache" / "yolov3").iterdir()
        file.write_bytes(content)
    for _ in range(2):
        assert read_sizes(many, "")[0].tolist() == SIZES


def test_few_headers_are_not_remembered(many, tmp_path):
    assert read_sizes(many[:7], "")[0].tolist() == SIZES[:7]
    assert not (tmp_path / "cache").exists()


def test_files_of_one_content_have_one_key(tmp_path):
    contents = {"a.png": b"one", "b.png": b"two", "c.jpg": b"one", "d.png": b"three"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link.png").symlink_to("b.png")
    (tmp_path / "folder.png").mkdir()
    names = [*contents, "a.png", "link.png", "gone.png", "gone too.png", "folder.png"]
    keys = content_keys([str(tmp_path / name) for name in names])
    place = {key: names[keys.index(key)] for key in keys}
    copies = ["a.png", "b.png", "a.png", "d.png", "a.png", "b.png"]
    assert [place[key] for key in keys] == [*copies, *names[-3:]]
