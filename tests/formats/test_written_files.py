"""What is written: whole files or none, never over an input or another image's file."""

import pytest
from format_samples import HEIGHT, WIDTH, lines, write_coco
from PIL import Image

from yolov3 import files
from yolov3.formats.conversion import convert


def test_existing_files_and_inputs_are_not_replaced(folder):
    task = write_coco(folder)
    (folder / "out.txt").write_text("mine")
    with pytest.raises(ValueError, match="out.txt: expected a new file; it exists"):
        convert(task)
    assert (folder / "out.txt").read_text() == "mine" and not (folder / "out.names").exists()
    convert(task._replace(overwrite=True))
    assert lines(folder)[0].startswith("b 1,2.jpg")
    (folder / "link.json").symlink_to("in.json")
    (folder / "hard.json").hardlink_to(folder / "in.json")
    before = (folder / "in.json").read_bytes()
    for name in ("in.json", "link.json", "hard.json", "a.png"):
        again = task._replace(target=folder / name, target_format="coco", overwrite=True)
        with pytest.raises(ValueError, match="refusing to overwrite an input file"):
            convert(again)
    with pytest.raises(ValueError, match="expected a file to write; received a folder"):
        convert(task._replace(target=folder, overwrite=True))
    assert (folder / "in.json").read_bytes() == before


def test_nothing_is_left_of_a_failed_write(folder, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        convert(write_coco(folder)._replace(target_format="voc", target=folder / "xml"))
    assert list((folder / "xml").iterdir()) == []


def test_images_of_one_name_cannot_share_a_file(folder):
    images = [{"id": 3, "file_name": "a.png"}, {"id": 7, "file_name": "sub/a.jpg"}]
    (folder / "sub").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "sub" / "a.jpg")
    task = write_coco(folder, images=images)
    with pytest.raises(ValueError, match="sub/a.jpg: expected a name of its own.*'a'"):
        convert(task._replace(target_format="yolo", target=folder / "labels"))
    convert(task)  # annotation lines have room for both
