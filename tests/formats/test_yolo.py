"""YOLO label files: fractions of the image, folders of them, and what is refused."""

import sys

import pytest
from format_samples import HEIGHT, WIDTH, assert_refused, lines, with_source, write_yolo
from PIL import Image

from yolov3.formats.conversion import ConversionJob, Source, convert


def test_boxes_are_fractions_of_the_image_upright(folder):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn: OpenCV reads the image as 40 wide, 60 high
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "c.jpg", exif=exif)
    convert(write_yolo(folder, "1 0.5 0.5 1 1\n\n0 0.25 0.5 0.1 0.25\r\n", "c.txt"))
    assert lines(folder)[-1] == "c.jpg 0,0,40,60,1 8,22.5,12,37.5,0"


@pytest.mark.parametrize("path", ["", "images"])
def test_labels_are_found_from_the_folder_of_images(folder, path):
    write_yolo(folder, "0 .5 .5 1 1")
    (folder / "images").mkdir()
    (folder / "a.png").rename(folder / "images" / "a.png")
    convert(ConversionJob([Source("yolo", folder / path)], folder / "out.txt", "annotations"))
    assert lines(folder)[-1] == "images/a.png 0,0,60,40,0"


def test_images_without_any_label_file_are_no_data_set(folder):
    (folder / "classes.txt").write_text("cat\n")
    job = ConversionJob([Source("yolo", folder)], folder / "out.txt", "annotations")
    assert_refused(job, "expected label files, and images named like them near it; there is none")


def test_folders_of_images_and_labels_side_by_side(folder):
    for split in ("train", "val"):
        for name in ("images", "labels"):
            (folder / "ds" / name / split).mkdir(parents=True)
        Image.new("RGB", (10, 10)).save(folder / "ds" / "images" / split / "1.png")
        (folder / "ds" / "labels" / split / "1.txt").write_text(f"{len(split) - 3} .5 .5 1 1")
    source = Source("yolo", folder / "ds", names=folder / "names")
    job = ConversionJob([source], folder / "out.txt", "annotations")
    expected = ["ds/images/train/1.png 0,0,10,10,2", "ds/images/val/1.png 0,0,10,10,0"]
    for source in ("ds", "ds/labels", "ds/labels/train"):
        for images in (None, folder / "ds" / "images" / source[10:]):
            convert(with_source(job._replace(overwrite=True), path=folder / source, images=images))
            assert lines(folder) == expected[: 1 if source.endswith("train") else 2]


@pytest.mark.skipif(sys.platform == "darwin", reason="has no such names")
def test_an_image_whose_name_is_not_utf_8_is_named(folder):
    (folder / "a.png").rename(folder / "a\udcff.png")
    summary = convert(write_yolo(folder, "0 .5 .5 1 1", "a\udcff.txt"))
    assert r"a\udcff.png' (not UTF-8, or a line break)" in summary
    assert lines(folder) == ["b 1,2.jpg"]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("1 0.5 0.5 0.4 0.2", ""),
        ("1.0\t.5  .5\t.4 .2 \r\n\r\n", ""),
        ("\ufeff1 .5 .5 .4 .2", ""),
        ("1 .5 .5 .4 .2 .87", "read 1 box, without the confidence in its line"),
        ("1 .3 .4 .7 .4 .5 .6", "read 1 box, as large as its outline"),
        ("1 .3 .4 .7 .4 .7 .6 .3 .6", "read 1 box, as large as its outline"),
    ],
)
def test_lines_whose_meaning_is_certain_are_read(folder, text, note):
    job = write_yolo(folder, text)
    for encoding in ("utf-8", "utf-16"):
        (folder / "labels" / "a.txt").write_text(text, encoding=encoding)
        assert note in convert(job)
        assert lines(folder) == ["a.png 18,16,42,24,1", "b 1,2.jpg"]


@pytest.mark.parametrize(
    "name", ["obj.names", "val/_darknet.labels", "../data.yaml", "val/classes.txt"]
)
def test_class_names_are_found(folder, name):
    job = write_yolo(folder, "1 .5 .5 1 1")
    (folder / "labels" / "classes.txt").unlink()
    (folder / "labels" / "val").mkdir()
    is_yaml = name.endswith("yaml")
    (folder / "labels" / name).write_text("names: [cat, dog]" if is_yaml else "cat\ndog\n")
    assert "2 classes: dog 1, cat 0" in convert(job)


@pytest.mark.parametrize(
    ("name", "text"), [("labels/val/classes.txt", "dog\ncat\n"), ("data.yaml", "names: [ant, bee]")]
)
def test_class_files_that_disagree_are_refused(folder, name, text):
    job = write_yolo(folder, "0 .5 .5 1 1")
    (folder / "labels" / "val").mkdir()
    (folder / name).write_text(text)
    assert_refused(job, ": other class names than in ")
    convert(with_source(job, names=folder / "names"))
    assert lines(folder) == ["a.png 0,0,60,40,0", "b 1,2.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 .5 .5 .1 .1\n0 .5 .5 .1", "a.txt:2: expected 'class x_centre y_centre width height'"),
        ("0 .5 .5 .1 .1 7", "a.txt:1: expected fractions of the image from 0 to 1; received"),
        ("0 .5 .5 .1 .1 .2 .3 .4", "a.txt:1: expected 'class x_centre y_centre width height'"),
        ("0, .5, .5, .1, .1", "a.txt:1: expected a number; received '0,'"),
        ("0 0,5 0,5 0,1 0,1", "a.txt:1: expected a number; received '0,5'"),
        ("2 .5 .5 .1 .1", "a.txt:1: expected a class in [0, 1]; received '2'"),
        ("0.5 .5 .5 .1 .1", "a.txt:1: expected a class in [0, 1]; received '0.5'"),
        ("0 30 20 10 10", "a.txt:1: expected fractions of the image from 0 to 1; received"),
        ("0 inf .5 .1 .1", "a.txt:1: expected a number; received 'inf'"),
        ("cat .5 .5 .1 .1", "a.txt:1: expected a number; received 'cat'"),
    ],
)
def test_bad_yolo_is_refused(folder, text, message):
    assert_refused(write_yolo(folder, text), message)


def test_yolo_needs_class_names(folder):
    job = write_yolo(folder, "0 .5 .5 1 1")
    (folder / "labels" / "classes.txt").unlink()
    assert_refused(job, "expected class names in classes.txt, or --names FILE")


def test_an_image_may_be_called_as_the_class_file(folder):
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "classes.png")
    (folder / "in.txt").write_text("classes.png 1,2,3,4,0")
    source = Source("annotations", folder / "in.txt", names=folder / "names")
    convert(ConversionJob([source], folder / "labels", "yolo"))
    assert (folder / "labels" / "classes.txt").read_text().startswith("0 0.0333")
    back = Source("yolo", folder / "labels", images=folder)
    convert(ConversionJob([back], folder / "out.txt", "annotations"))
    assert lines(folder)[-1] == "classes.png 1,2,3,4,0"
