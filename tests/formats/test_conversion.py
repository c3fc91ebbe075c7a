"""Conversions there and back give the same boxes; files are written completely or not at all."""

import json

import numpy as np
import pytest
from format_samples import HEIGHT, NAMES, WIDTH, lines, with_source, write_coco
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from yolov3 import files
from yolov3.annotations import read_annotations
from yolov3.formats.conversion import ConversionJob, Source, convert
from yolov3.formats.voc import Corners


def boxes(decimals):
    def corners(limit):
        scale = 10**decimals
        whole = st.integers(0, limit * scale)
        pair = st.lists(whole, min_size=2, max_size=2, unique=True)
        return pair.map(lambda two: [value / scale for value in sorted(two)])

    box = st.tuples(corners(WIDTH), corners(HEIGHT), st.integers(0, len(NAMES) - 1))
    return st.lists(box, max_size=5)


@pytest.mark.parametrize("target_format", ["voc", "voc edges", "coco", "yolo"])
def test_a_round_trip_gives_the_same_lines(folder, target_format):
    name, _, edges = target_format.partition(" ")
    corners = Corners.EDGES if edges else Corners.PIXELS
    there = {"voc": folder / "xml", "yolo": folder / "labels"}.get(name, folder / "there.json")
    source = Source("annotations", folder / "in.txt", names=folder / "names")
    to = ConversionJob([source], there, name)
    source = Source(name, there, folder, folder / "names")
    back = ConversionJob([source], folder / "out.txt", "annotations")

    @settings(max_examples=40, deadline=None)
    @given(boxes(decimals=0) | boxes(decimals=4), boxes(decimals=2))
    def check(first, second):
        images, texts = (first, second), []
        for path, rows in zip(("a.png", "b 1,2.jpg"), images, strict=True):
            words = [f"{x1:g},{y1:g},{x2:g},{y2:g},{c}" for (x1, x2), (y1, y2), c in rows]
            texts.append(" ".join([path, *words]))
        (folder / "in.txt").write_text("\n".join(texts))
        convert(to._replace(corners=corners, overwrite=True))
        if name in ("voc", "coco") and not any(images):
            return  # no class of --names is in it
        convert(back._replace(corners=corners, overwrite=True))
        expected = read_annotations(folder / "in.txt")
        for one, other in zip(expected, read_annotations(folder / "out.txt"), strict=True):
            assert one.image_path == other.image_path
            np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)
            np.testing.assert_array_equal(one.classes, other.classes)

    check()


def test_existing_files_and_inputs_are_not_replaced(folder):
    job = write_coco(folder)
    (folder / "out.txt").write_text("mine")
    with pytest.raises(ValueError, match="out.txt: expected a new file; it exists"):
        convert(job)
    assert (folder / "out.txt").read_text() == "mine" and not (folder / "out.names").exists()
    convert(job._replace(overwrite=True))
    assert lines(folder)[0].startswith("b 1,2.jpg")
    (folder / "link.json").symlink_to("in.json")
    (folder / "hard.json").hardlink_to(folder / "in.json")
    before = (folder / "in.json").read_bytes()
    for name in ("in.json", "link.json", "hard.json", "a.png"):
        again = job._replace(target=folder / name, target_format="coco", overwrite=True)
        with pytest.raises(ValueError, match="refusing to overwrite an input file"):
            convert(again)
    with pytest.raises(ValueError, match=r"out\.txt: expected a folder; received a file"):
        convert(job._replace(target=folder / "out.txt", target_format="voc"))
    with pytest.raises(ValueError, match="expected a file to write; received a folder"):
        convert(job._replace(target=folder, overwrite=True))
    assert (folder / "in.json").read_bytes() == before


def test_nothing_is_left_of_a_failed_write(folder, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        convert(write_coco(folder)._replace(target_format="voc", target=folder / "xml"))
    assert list((folder / "xml").iterdir()) == []


@pytest.mark.parametrize("target_format", ["voc", "yolo"])
def test_images_of_one_name_get_files_in_their_folders(folder, target_format):
    images = [{"id": 3, "file_name": "a.png"}, {"id": 7, "file_name": "sub/a.jpg"}]
    (folder / "sub").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "sub" / "a.jpg")
    job = write_coco(folder, images=images)
    convert(job._replace(target_format=target_format, target=folder / "labels"))
    source = Source(target_format, folder / "labels", folder)
    convert(ConversionJob([source], folder / "out.txt", "annotations"))
    expected = ["a.png 1,2,4.5,6,1 5,6,15,16,0", "sub/a.jpg 0,0,60,40,0"]
    assert [line for line in lines(folder) if "b 1" not in line] == expected
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "a.jpg")
    job = write_coco(folder, images=[images[0], images[1] | {"file_name": "a.jpg"}])
    job = job._replace(target_format=target_format, target=folder / "new")
    with pytest.raises(ValueError, match="a.jpg: expected a name of its own.*'a'"):
        convert(job)


def test_names_that_are_given_are_written_beside_the_lines(folder):
    job = with_source(write_coco(folder), names=folder / "out.names")
    (folder / "out.names").write_text("toothbrush\nbicycle\n")
    assert "out.names" not in convert(job)  # it is there already
    (folder / "names").write_text("bicycle\ntoothbrush\n")
    convert(with_source(job, names=folder / "names")._replace(overwrite=True))
    assert lines(folder, "out.names") == ["bicycle", "toothbrush"]
    assert lines(folder)[0] == "b 1,2.jpg 0,0,60,40,0"


def with_bad_files(folder, kind):
    """Annotate three images, those of a.png and b.png badly."""
    for name in "abc":
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"{name}.png")
    path = {"annotations": folder / "in.txt", "coco": folder / "in.json"}.get(kind, folder)
    (folder / "in.names").write_text("cat\n")
    if kind == "annotations":
        path.write_text("a.png 1,2,3\nb.png 1,2,9,9,7\nc.png 0,0,9,9,0\n")
    elif kind == "coco":
        boxes = ([1, 2], [1, 2, 9, "?"], [0, 0, 9, 9])
        rows = [{"image_id": n, "category_id": 1, "bbox": box} for n, box in enumerate(boxes)]
        images = [{"id": n, "file_name": f"{name}.png"} for n, name in enumerate("abc")]
        categories = [{"id": 1, "name": "cat"}]
        content = {"images": images, "annotations": rows, "categories": categories}
        path.write_text(json.dumps(content))
    elif kind == "voc":
        box = "<bndbox><xmin>{}</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
        for name, text in zip("abc", ("<a", box.format("x"), box.format(1)), strict=True):
            text = f"<object><name>cat</name>{text}</object>"
            text = f"<annotation><filename>{name}.png</filename>{text}</annotation>"
            (folder / f"{name}.xml").write_text(text)
    else:
        (folder / "classes.txt").write_text("cat\n")
        rows = ("0 .5 .5 1", "7 .5 .5 1 1", "0 .075 .1125 .15 .225")
        for name, text in zip("abc", rows, strict=True):
            (folder / f"{name}.txt").write_text(text)
    return ConversionJob([Source(kind, path)], folder / "new" / "out.txt", "annotations")


@pytest.mark.parametrize("kind", ["annotations", "coco", "voc", "yolo"])
def test_all_bad_annotations_are_reported_at_once_or_left_out(tmp_path, kind):
    job = with_bad_files(tmp_path, kind)
    with pytest.raises(ValueError) as error:
        convert(job)
    title, one, other = str(error.value).splitlines()
    assert title.startswith("2 bad annotations (--bad-files skip leaves")
    first, second = {
        "annotations": ("in.txt:1: ", "in.txt:2: "),
        "coco": ("annotations[0].bbox: ", "annotations[1].bbox: "),
    }.get(kind, ("a.", "b."))
    assert first in one and second in other
    assert not job.target.parent.exists()
    summary = convert(job._replace(bad_files="skip"))
    assert lines(tmp_path, "new/out.txt") == ["c.png 0,0,9,9,0"]  # a and b are no background
    assert "skipped 2 bad annotations, with the images: " in summary
    assert "background" not in summary


def test_annotations_that_are_all_bad_are_refused(tmp_path):
    job = with_bad_files(tmp_path, "annotations")
    job.sources[0].path.write_text("a.png 1,2,3\n")
    with pytest.raises(ValueError, match=r"in.txt:1: expected xmin.*received '1,2,3'$"):
        convert(job._replace(bad_files="skip"))


@pytest.mark.parametrize("kind", ["annotations", "yolo"])
def test_labels_keep_the_names_that_are_beside_them(tmp_path, kind):
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.png")
    texts = {
        "annotations": {"in.txt": "a.png 0,0,60,40,0 0,0,9,9,1", "in.names": "cat\ndog"},
        "yolo": {"a.txt": "0 .5 .5 1 1\n1 .075 .1125 .15 .225", "classes.txt": "cat\ndog"},
    }[kind]
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    path = tmp_path / "in.txt" if kind == "annotations" else tmp_path
    job = ConversionJob([Source(kind, path)], tmp_path / "new/out.txt", "annotations")
    (tmp_path / "names").write_text("dog\nant\ncat\n")
    convert(with_source(job, names=tmp_path / "names"))
    assert lines(tmp_path, "new/out.txt") == ["a.png 0,0,60,40,2 0,0,9,9,0"]
    if kind == "annotations":
        again = job._replace(target=tmp_path / "in.csv", overwrite=True)
        (tmp_path / "in.csv").touch()
        with pytest.raises(ValueError, match="in.names: refusing to overwrite an input file"):
            convert(again)
