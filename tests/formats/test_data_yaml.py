"""A data.yaml of Ultralytics or Roboflow as a data set."""

import os
from pathlib import Path

import pytest
from format_samples import assert_refused
from PIL import Image

from yolov3.annotations import read_annotations
from yolov3.formats.conversion import ConversionJob, Source, convert

BOX = [18, 12, 42, 28]
FULL = "{} .5 .5 1 1\n"


def write_images(folder, *rows):
    """Make images and their label files; a row is the path of the image, and a class or None."""
    for number, (name, label) in enumerate(rows):
        image = folder / name
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (60, 40), len(str(folder)) + 10 * number).save(image)
        if label is not None:
            text = Path(str(image).replace("/images/", "/labels/")).with_suffix(".txt")
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text(FULL.format(label))


def job(folder, text, **settings):
    (folder / "data.yaml").write_text(text)
    sources = [Source("yolo", folder / "data.yaml")]
    return ConversionJob(sources, folder.parent / "out.txt", "annotations", **settings)


def found(tmp_path, part):
    """Return the labels of the images of a part by their paths below the data set."""
    records = read_annotations(tmp_path / f"out_{part}.txt")
    folder = tmp_path / "set"
    return {
        str(Path(record.image_path).relative_to(folder)): record.classes.tolist()
        for record in records
    }


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("train: ../train/images\nval: ../valid/images\n", "{}/images"),  # Roboflow
        ("path: ../set\ntrain: images/train\nval: images/valid\n", "images/{}"),  # Ultralytics
        ("path: coco8 # elsewhere\ntrain: images/train\nval: images/valid\n", "images/{}"),
        ("train: /content/set/images/train/\nval: [C:\\my set\\images\\valid]\n", "images/{}"),
        ("train: train.txt\nval: [valid.txt]\n", "images/{}"),
        ("train: train\nval: valid\n", "{}"),
    ],
)
def test_splits_are_found_where_they_really_are(tmp_path, text, images):
    train, valid = images.format("train"), images.format("valid")
    rows = [(f"{train}/a.png", 1), (f"{train}/b.JPG", None), (f"{valid}/a.png", 0)]
    write_images(tmp_path / "set", *rows)
    (tmp_path / "set" / "train.txt").write_text(f"./{rows[0][0]}\n\n{tmp_path}/set/{rows[1][0]}\n")
    (tmp_path / "set" / "valid.txt").write_text(f"data/obj/{rows[2][0]}\r\n")
    settings = "test:\nnc: 2\nnames:\n  0: cat\n  1: no\ndownload: rm -rf *\n"
    summary = convert(job(tmp_path / "set", text + settings))
    assert found(tmp_path, "train") == {rows[0][0]: [1], rows[1][0]: []}
    assert found(tmp_path, "val") == {rows[2][0]: [0]}
    for part in ("train", "val"):
        assert (tmp_path / f"out_{part}.names").read_text() == "cat\nno\n"
    assert "2 classes, boxes in train + val: cat 0 + 1, no 1 + 0\n" in summary
    assert "read 2 images and 1 box from " in summary and "data.yaml (train)\n" in summary
    assert not (tmp_path / "out_test.txt").exists() and "skipped" not in summary


def test_a_folder_is_not_taken_for_that_of_another_split_or_set(tmp_path):
    folder = tmp_path / "set"
    write_images(folder, ("images/a.png", 0), ("train/images/b.png", 0))
    write_images(tmp_path, ("train/images/c.png", 0), ("lists/d.png", 0), ("d.png", 0))
    (tmp_path / "lists" / "list.txt").write_text("d.png\n")
    text = "path: somewhere/set\ntrain: ../train/images\nval: /content/valid/images\n"
    text += "test: ../lists/list.txt\nnames: [cat]"
    summary = convert(job(folder, text))
    assert found(tmp_path, "train") == {"train/images/b.png": [0]}
    assert "skipped 1 folder, not found: val: '/content/valid/images'" in summary
    [record] = read_annotations(tmp_path / "out_test.txt")
    assert record.image_path == str(tmp_path / "lists" / "d.png")
    elsewhere = tmp_path / "yaml" / "coco.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text("path: ../set\ntrain: images\nnames: [cat]")
    sources = [Source("yolo", elsewhere)]
    convert(ConversionJob(sources, tmp_path / "out.txt", "annotations", overwrite=True))
    assert found(tmp_path, "train") == {"images/a.png": [0]}


def test_what_a_split_lacks_is_named(tmp_path):
    folder = tmp_path / "set"
    write_images(folder, ("train/images/a.png", 0), ("test/images/a.png", None))
    (folder / "train/labels/stray.txt").write_text(FULL.format(0))
    (folder / "train/labels/classes.txt").write_text("cat\n")
    (folder / "list.txt").write_text("train/images/a.png\ngone.png\n")
    text = "train: [train/images, list.txt, more]\nval: ../valid/images\ntest: test/images\n"
    summary = convert(job(folder, text + "names: [cat]"))
    assert found(tmp_path, "train") == {"train/images/a.png": [0]}
    assert "skipped 2 folders, not found: train: 'more'; val: '../valid/images'" in summary
    assert "skipped 1 image, in a folder without any label file: " in summary
    assert "dropped 1 text file, with no image of its name: " in summary and "stray.txt" in summary
    assert "dropped 1 image, listed in list.txt, not found: 'gone.png'" in summary


@pytest.mark.parametrize("label", ["A.txt", "a.TXT", "a.png.txt"])
def test_label_files_of_other_names_are_found(tmp_path, label):
    write_images(tmp_path / "set", ("Images/a.png", 0), ("Images/b.png", 0))
    (tmp_path / "set/Images/b.txt").unlink()
    (tmp_path / "set/Labels").mkdir()
    (tmp_path / "set/Images/a.txt").rename(tmp_path / "set/Labels" / label)
    convert(job(tmp_path / "set", "train: Images\nnames: [cat]"))
    assert found(tmp_path, "train") == {"Images/a.png": [0], "Images/b.png": []}


def test_images_that_share_a_label_file_are_faults(tmp_path):
    write_images(tmp_path / "set", ("images/a.png", 0), ("images/a.bmp", 0), ("images/b.png", 0))
    one = job(tmp_path / "set", "train: images\nnames: [cat]")
    assert_refused(one, "a.txt: 'a' may be any of 2 images: ")
    convert(one._replace(bad_files="skip"))
    assert list(found(tmp_path, "train")) == ["images/b.png"]


@pytest.mark.parametrize(("shape", "right"), [("", [6, 4, 54, 36]), ("kpt_shape: [2, 2]\n", BOX)])
def test_keypoints_are_no_outline_where_data_yaml_tells_them(tmp_path, shape, right):
    write_images(tmp_path / "set", ("images/a.png", 0))
    (tmp_path / "set/labels/a.txt").write_text("0 .5 .5 .4 .4 .1 .1 .9 .9\n")
    job(tmp_path / "set", "train: images\n" + shape + "names: [cat]")
    for path in ("set/data.yaml", "set"):
        source = Source("yolo", tmp_path / path)
        target = tmp_path / "new" / Path(path).stem / "x.txt"
        convert(ConversionJob([source], target, "annotations"))
        [written] = target.parent.glob("*.txt")
        assert read_annotations(written)[0].boxes_xyxy.tolist() == [right]


@pytest.mark.parametrize("train", ["images", "list.txt"])
def test_an_image_whose_labels_may_not_be_read_is_no_background(tmp_path, monkeypatch, train):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/list.txt").write_text("./images/a.png\n./images/b.png\n")
    write_images(tmp_path / "set", ("images/a.png", 0), ("images/b.png", 0))
    stat = os.stat

    def refuse(path, **kwargs):
        if str(path).endswith("a.txt"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **kwargs)

    monkeypatch.setattr(os, "stat", refuse)
    one = job(tmp_path / "set", f"train: {train}\nnames: [cat]")
    assert_refused(one, "labels/a.txt: expected a text file; received Permission denied (--bad")
    convert(one._replace(bad_files="skip"))
    assert list(found(tmp_path, "train")) == ["images/b.png"]


def test_all_splits_are_divided_anew(tmp_path):
    folder = tmp_path / "set"
    rows = [(f"{split}/images/{n}.png", 0) for split in ("train", "valid") for n in range(5)]
    write_images(folder, *rows)
    text = "train: ../train/images\nval: ../valid/images\nnames: [cat]"
    convert(job(folder, text, split=0.3))
    train, test = (found(tmp_path, part) for part in ("train", "test"))
    assert (len(train), len(test)) == (7, 3) and set(train) | set(test) == {row[0] for row in rows}


def test_a_split_set_and_another_need_a_new_split(tmp_path):
    write_images(tmp_path / "set", ("train/images/a.png", 0))
    one = job(tmp_path / "set", "train: train/images\nnames: [cat]")
    (tmp_path / "more.txt").write_text("set/train/images/a.png 0,0,60,40,0\n")
    (tmp_path / "more.names").write_text("cat\n")
    sources = [*one.sources, Source("annotations", tmp_path / "more.txt")]
    assert_refused(one._replace(sources=sources), "--split 0.2 divides all of them anew")
    sources = [*one.sources, *one.sources]
    assert "dropped 1 image, which came before" in convert(one._replace(sources=sources))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: images\nnc: 2\nnames: [cat]", "data.yaml: nc is 2, but names has 1"),
        ("train: images", "data.yaml: expected names"),
        ("names: [cat]", "expected images with label files of train, val, valid, test; r"),
        (
            "train: gone\nnames: [cat]",
            "expected images with label files of train, val, valid, test; rec",
        ),
        ("train: {a: b}\nnames: [cat]", "data.yaml: train: expected paths; received [{'a': 'b'}]"),
        ("path: [a]\nnames: [cat]", "data.yaml: path: expected a folder; received ['a']"),
        ("train: images\nnames: [cat]", "a.txt:1: expected a class in [0, 0]; received '1'"),
    ],
)
def test_a_bad_data_yaml_is_refused(tmp_path, text, message):
    write_images(tmp_path / "set", ("images/a.png", 1))
    assert_refused(job(tmp_path / "set", text), message)
