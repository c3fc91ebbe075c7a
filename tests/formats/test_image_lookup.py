"""Which image an annotation belongs to, in folders as people have them: found, or named."""

import json
import os

import pytest

from yolov3.formats.coco import read_coco
from yolov3.formats.common import ConversionLog
from yolov3.formats.voc import read_voc
from yolov3.formats.yolo import read_yolo


def lay_out(folder, files):
    """Write files of a data set: text by path; images, which nobody opens here, are empty."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def xml(filename="", path="", size=3):
    tags = f"<filename>{filename}</filename>" * bool(filename) + f"<path>{path}</path>" * bool(path)
    corners = "".join(f"<{tag}>{size}</{tag}>" for tag in ("xmin", "ymin", "xmax", "ymax"))
    box = f"<object><name>cat</name><bndbox>{corners}</bndbox></object>"
    return f"<annotation>{tags}{box}</annotation>"


def coco(*names):
    images = [{"id": index, "file_name": name} for index, name in enumerate(names)]
    box = {"category_id": 1, "bbox": [0, 0, 1, 1]}
    annotations = [box | {"image_id": i, "bbox": [i, 0, 1, 1]} for i in range(len(names))]
    categories = [{"id": 1, "name": "cat"}]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def label(box=1):
    return f"0 .5 .5 .{box} .{box}\n"


def annotated(data, folder):
    """Return the names of the images in their order, "-" before those without a box."""
    names = [os.path.relpath(image.path, folder).replace(os.sep, "/") for image in data.images]
    return ["-" * (not len(one.classes)) + n for one, n in zip(data.images, names, strict=True)]


def read(folder, kind, source=".", images=None):
    log = ConversionLog()
    images = images and folder / images
    if kind == "voc":
        data = read_voc(folder / source, images, None, log)
    elif kind == "coco":
        data = read_coco(folder / source, images, log)
    else:
        data = read_yolo(folder / source, images, ["cat"], log)
    return annotated(data, folder), log


MOVED = "found 1 image, by another name or in another folder than annotated"
UNUSED = "skipped 1 image, without annotation"


@pytest.mark.parametrize(
    ("files", "expected", "note"),
    [
        (
            {"a.xml": xml("a.png"), "a.png": "", "b.xml": xml("a.png"), "b.png": ""},
            "a.png b.png",
            MOVED,
        ),
        ({"a.xml": xml("b.png"), "a.png": "", "b.png": ""}, "a.png", UNUSED),
        ({"a.xml": xml(), "a.png": ""}, "a.png", MOVED),
        ({"a.xml": xml("a"), "a.png": ""}, "a.png", MOVED),
        ({"a.xml": xml("a.JPG"), "a.jpg": "", "b.jpg": ""}, "a.jpg", MOVED),
        ({"a.xml": xml("a.jpg"), "a.PNG": ""}, "a.PNG", MOVED),
        ({"a.xml": xml("a.jpg"), "a.png": "", "a.jpg": ""}, "a.jpg", UNUSED),
        ({"1.xml": xml("IMG 7.png"), "IMG 7.png": ""}, "IMG 7.png", ""),
        ({"a.xml": xml(r"C:\Users\me\pets\a.png"), "a.png": ""}, "a.png", MOVED),
        ({"1.xml": xml("", r"D:\pets\a.png"), "a.png": ""}, "a.png", MOVED),
        ({"a.xml": xml("renamed.png"), "a.png": ""}, "a.png", MOVED),
        ({"1.xml": xml("old.png", "/home/me/a.png"), "a.png": ""}, "a.png", MOVED),
        ({"Annotations/b.xml": xml("a.png"), "JPEGImages/b.png": ""}, "JPEGImages/b.png", MOVED),
        ({"a.v2.xml": xml("a.v2"), "a.v2.png": "", "a.png": ""}, "a.v2.png", MOVED),
        ({"a.xml": xml("sub/a.png"), "a.png": "", "sub/a.png": ""}, "sub/a.png", UNUSED),
        ({"Annotations/a.xml": xml("a.png"), "JPEGImages/a.png": ""}, "JPEGImages/a.png", ""),
        (
            {"t/a.xml": xml("a.png"), "t/a.png": "", "v/a.xml": xml("a.png"), "v/a.png": ""},
            "t/a.png v/a.png",
            "",
        ),
        ({"t/a.xml": xml("a.png"), "t/a.jpg": "", "v/a.png": ""}, "t/a.jpg", MOVED),
        (
            {
                "t/Annotations/a.xml": xml("a.png"),
                "t/images/a.png": "",
                "v/Annotations/a.xml": xml("a.png", size=4),
                "v/images/a.png": "",
            },
            "t/images/a.png v/images/a.png",
            "",
        ),
        ({"a.xml": xml("a.png"), "a.png": "", "copy/a.xml": xml("a.png")}, "a.png", "alike: "),
        ({"a.xml": xml("a.png"), "a.png": "", ".b.png": ""}, "a.png", "hidden"),
        ({"a.xml": xml("1.png"), "photos/1.png": "", "photos/a.png": ""}, "photos/a.png", MOVED),
        ({"t/a.xml": xml("a.png"), "t/b.png": "", "v/a.png": ""}, "t/a.png", "skipped 2 images"),
        ({"x/a.xml": xml("1.png", r"D:\a\1.png"), "a/1.png": "", "b/1.png": ""}, "a/1.png", MOVED),
        ({"a.jpg.xml": xml("a.jpg.png"), "a.jpg": "", "a.jpg.png": ""}, "a.jpg.png", UNUSED),
        ({"a.xml": xml("gone.png")}, "gone.png", ""),  # cleaning says so
    ],
)
def test_images_of_voc(tmp_path, files, expected, note):
    lay_out(tmp_path, files)
    source = "Annotations" if next(iter(files)).startswith("Annotations") else "."
    names, log = read(tmp_path, "voc", source)
    assert " ".join(names) == expected and not log.faults
    assert note in str(log) and bool(note) == bool(str(log))


@pytest.mark.parametrize(
    ("names", "files", "expected", "note"),
    [
        (["a.png"], ["a.png", "b.png"], "a.png", UNUSED),
        (["t/a.png", "v/a.png"], ["t/a.png", "v/a.png"], "t/a.png v/a.png", ""),
        ([r"t\a.png", "/v/a.png"], ["t/a.png", "v/a.png"], "t/a.png v/a.png", ""),
        (["./a.png"], ["a.png"], "a.png", ""),
        (["a.png"], ["images/default/a.png"], "images/default/a.png", ""),
        (["a.png"], ["../images/default/a.png"], "../images/default/a.png", ""),
        (["x/t/a.png"], ["v/a.png", "t/a.png"], "t/a.png", "found 1 image, "),
        (["a.jpg"], ["a.JPG", "deep/er/a.png"], "a.JPG", MOVED),
        (["a.png"], ["a.png", "deep/a.png"], "a.png", UNUSED),
        (["../../label-studio/data/upload/1/0a1b2c3d-a.png"], ["i/a.png"], "i/a.png", MOVED),
        (["images/1/0a1b2c3d-a.png"], ["images/0a1b2c3d-a.png"], "images/0a1b2c3d-a.png", MOVED),
        (["/data/local-files/?d=a.png"], ["i/a.png"], "i/a.png", MOVED),
        (["https://site.org/a.png?X=b/c"], ["i/a.png"], "i/a.png", MOVED),
        (["a.png"], ["../images/coco/b.png", "../images/val/a.png"], "a.png", "skipped 2 images"),
        (["a%20b.png"], ["a b.png"], "a b.png", MOVED),
        (["https://site.org/t/a.png"], ["a.png"], "a.png", MOVED),
        (["a.png"], ["../coco/a.png", "../images/val/a.png"], "../coco/a.png", UNUSED),
        (["mo\u0308we.png"], ["möwe.png"], "möwe.png", MOVED),
        (["gone.png"], ["a.png"], "gone.png", UNUSED),
    ],
)
def test_images_of_coco(tmp_path, names, files, expected, note):
    folder = tmp_path / "set" / "annotations"
    lay_out(folder, {"instances_coco.json": coco(*names)} | dict.fromkeys(files, ""))
    found, log = read(folder, "coco", "instances_coco.json")
    assert " ".join(found) == expected and not log.faults
    assert note in str(log) and bool(note) == bool(str(log))


@pytest.mark.parametrize(
    ("files", "expected", "note"),
    [
        ({"a.txt": label(), "a.png": "", "b.png": ""}, "a.png -b.png", ""),
        ({"A.TXT": label(), "a.png": ""}, "a.png", MOVED),
        ({"a.png.txt": label(), "a.png": ""}, "a.png", MOVED),
        ({"a.jpg.txt": label(), "a.jpg": "", "a.jpg.png": ""}, "-a.jpg a.jpg.png", ""),
        ({"labels/t/a.txt": label(), "images/t/a.png": ""}, "images/t/a.png", ""),
        (
            {"t/labels/a.txt": label(), "t/images/a.png": "", "v/images/a.png": ""},
            "t/images/a.png",
            "skipped 1 image, in a folder without any label file",
        ),
        ({"labels/a.txt": label(), "images/t/a.png": ""}, "images/t/a.png", MOVED),
        ({"a.txt": label(), "a.png": "", "b.txt": label()}, "a.png", "with no image"),
        ({"a.txt": label(), "a.png": "", "train.txt": "x/a.png\n"}, "a.png", "with no image"),
        ({"a.txt": label(), "a.png": "", "README.txt": "Hello"}, "a.png", "with no image"),
        ({"a.txt": label(), "a.png": "", "classes.txt": "cat"}, "a.png", ""),
        (
            {"a.txt": label(), "a.png": "", "a.TXT": label()},
            "a.png",
            "that another one annotates alike",
        ),
    ],
)
def test_images_of_yolo(tmp_path, files, expected, note):
    lay_out(tmp_path, files)
    names, log = read(tmp_path, "yolo")
    assert " ".join(names) == expected and not log.faults
    assert note in str(log) and bool(note) == bool(str(log))


@pytest.mark.parametrize(
    ("kind", "files", "left", "fault"),
    [
        ("yolo", {"a.txt": label(), "a.png": "", "a.jpg": ""}, "", "'a' may be any of 2"),
        (
            "yolo",
            {"labels/a.txt": label(), "images/t/a.png": "", "images/v/a.png": ""},
            "",
            "'a' may be any of 2 images: ",
        ),
        ("yolo", {"a.txt": label(), "a.png": "", "a.TXT": label(2)}, "", "annotates otherwise"),
        (
            "voc",
            {"1.xml": xml("a.png"), "2.xml": xml("a.png", size=4), "a.png": "", "b.xml": xml(),
             "b.png": ""},
            "b.png",
            "2.xml: the image is {}/a.png', which {}/1.xml annotates otherwise",
        ),
        ("voc", {"a.xml": xml("a.bmp"), "a.png": "", "a.jpg": ""}, "", "'a.bmp' may be any"),
        ("coco", {"x.json": coco("a.png"), "t/a.png": "", "v/a.png": ""}, "", "[0]: 'a.png' may"),
        ("coco", {"x.json": coco("t/a.png", "v/a.png"), "a.png": ""}, "", "[1]: the image is"),
    ],
)  # fmt: skip
def test_what_is_uncertain_is_a_fault_and_no_background(tmp_path, kind, files, left, fault):
    lay_out(tmp_path, files)
    names, log = read(tmp_path, kind, "x.json" if kind == "coco" else ".")
    assert " ".join(names) == left and len(log.faults) == 1
    assert fault.replace("{}/1", f"{tmp_path}/1").replace("{}", f"'{tmp_path}") in log.faults[0]
    assert "without annotation" not in str(log)


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [("voc", "a.XML", xml("a.png")), ("coco", "x.json", coco("a.png")), ("yolo", "a.TXT", label())],
)
def test_folders_are_searched_through_links(tmp_path, kind, name, text):
    lay_out(tmp_path, {f"set/{'.' if kind == 'coco' else 'deep'}/{name}": text, "far/a.png": ""})
    (tmp_path / "set" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "up").symlink_to(tmp_path)
    names, log = read(tmp_path, kind, "set/x.json" if kind == "coco" else "set")
    assert names == ["set/link/a.png"] and not log.faults


def test_the_same_file_found_twice_is_one_image(tmp_path):
    lay_out(tmp_path, {"set/x.json": coco("a.png"), "set/t/a.png": ""})
    (tmp_path / "set" / "v").mkdir()
    (tmp_path / "set" / "v" / "a.png").symlink_to(tmp_path / "set" / "t" / "a.png")
    names, log = read(tmp_path, "coco", "set/x.json")
    assert names == ["set/t/a.png"] and not log.faults


def test_label_files_without_any_image_are_refused(tmp_path):
    lay_out(tmp_path, {"a.txt": label(), "b.png": ""})
    with pytest.raises(
        ValueError, match=r"images named like them near it; there is none, not for .*a.txt"
    ):
        read(tmp_path, "yolo")
