import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO

from yolov3.annotations import read_annotations
from yolov3.formats import output
from yolov3.formats.conversion import Task, convert
from yolov3.formats.voc import Corners

ROOT = Path(__file__).resolve().parents[1]
NAMES = ["cat", "dog & <co>", "möwe"]
WIDTH, HEIGHT = 60, 40

VOC = """<annotation>
  <folder>x</folder><filename>a.png</filename><path>/elsewhere/a.png</path>
  <size><width>60</width><height>40</height><depth>3</depth></size>
  <object><name>dog</name><part><name>head</name><bndbox><xmin>2</xmin></bndbox></part>
    <bndbox><xmax>60</xmax><xmin>1</xmin><ymin>1</ymin><ymax>40</ymax></bndbox></object>
  <object><name> cat </name><difficult>1</difficult>
    <bndbox><xmin>11</xmin><ymin>21.5</ymin><xmax>11</xmax><ymax>30</ymax></bndbox></object>
</annotation>"""


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b 1,2.jpg"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / name)
    (tmp_path / "names").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    return tmp_path


def coco_content(**changes):
    content = {
        "images": [
            {"id": 7, "file_name": "b 1,2.jpg", "width": 60, "height": 40},
            {"id": 3, "file_name": "a.png"},
        ],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 2, "name": "bicycle"}],
        "annotations": [
            {"image_id": 3, "category_id": 90, "bbox": [1, 2, 3.5, 4], "iscrowd": 0},
            {"image_id": 7, "category_id": 2, "bbox": [0, 0, 60, 40]},
            {"image_id": 3, "category_id": 2, "bbox": [5, 6, 10, 10], "segmentation": [[1, 2]]},
            {"image_id": 3, "category_id": 2, "bbox": [0, 0, 60, 40], "iscrowd": 1},
        ],
    }
    return content | changes


def write_coco(folder, **changes):
    (folder / "in.json").write_text(json.dumps(coco_content(**changes)), encoding="utf-8")
    return Task(folder / "in.json", "coco", folder / "out.txt", "annotations")


def write_voc(folder, text=VOC, name="a.xml"):
    (folder / name).write_text(text, encoding="utf-8")
    return Task(folder, "voc", folder / "out.txt", "annotations")


def write_yolo(folder, text, name="a.txt"):
    (folder / "labels").mkdir()
    (folder / "labels" / "classes.txt").write_text("cat\ndog\n")
    (folder / "labels" / name).write_text(text)
    return Task(
        folder / "labels", "yolo", folder / "out.txt", "annotations", folder, overwrite=True
    )


def lines(folder, name="out.txt"):
    text = (folder / name).read_text(encoding="utf-8")
    return text.replace(f"{folder}/", "").splitlines()


# What the formats mean


def test_voc_corners_are_the_first_and_last_pixel_counted_from_one(folder):
    task = write_voc(folder)
    convert(task)
    assert lines(folder) == ["a.png 0,0,60,40,1 10,20.5,11,30,0"]
    assert lines(folder, "out.names") == ["cat", "dog"]
    # As plain edges, the second box has no width.
    summary = convert(task._replace(corners=Corners.EDGES, overwrite=True))
    assert lines(folder) == ["a.png 1,1,60,40,1"]
    assert "dropped 1 box, empty or inverted: " in summary and "a.png' 11,21.5,11,30" in summary


def test_voc_corners_of_zero_are_pointed_out(folder):
    task = write_voc(folder, VOC.replace("<xmin>1<", "<xmin>0<"))
    summary = convert(task)
    assert "found 1 file, with a corner of 0 where VOC counts from 1" in summary
    assert lines(folder)[0].startswith("a.png 0,0,60,40,1")  # -1 is clipped
    assert "corner of 0" not in convert(task._replace(corners=Corners.EDGES, overwrite=True))


def test_coco_ids_may_have_gaps_and_crowds_are_dropped(folder):
    summary = convert(write_coco(folder))
    assert lines(folder) == ["b 1,2.jpg 0,0,60,40,0", "a.png 1,2,4.5,6,1 5,6,15,16,0"]
    assert lines(folder, "out.names") == ["bicycle", "toothbrush"]
    assert "dropped 1 box, of a crowd: annotations[3]" in summary
    assert "2 classes: bicycle 2, toothbrush 1" in summary


def test_yolo_is_relative_to_the_picture(folder):
    convert(write_yolo(folder, "1 0.5 0.5 1 1\n\n0 0.25 0.5 0.1 0.25\r\n"))
    assert lines(folder) == ["a.png 0,0,60,40,1 12,15,18,25,0", "b 1,2.jpg"]


def test_yolo_sizes_are_those_of_the_picture_upright(folder):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn: OpenCV reads the picture as 40 wide, 60 high
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "c.jpg", exif=exif)
    convert(write_yolo(folder, "0 0.5 0.5 1 1\n", "c.txt"))
    assert lines(folder)[-1] == "c.jpg 0,0,40,60,0"


def test_a_nested_folder_keeps_its_pictures_apart(folder):
    for split in ("train", "val"):
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        Image.new("RGB", (10, 10)).save(folder / "images" / split / "1.png")
        (folder / "labels" / split / "1.txt").write_text(f"{int(split == 'val')} .5 .5 1 1")
    (folder / "labels" / "classes.txt").write_text("cat\ndog\n")
    target = folder / "out.txt"
    convert(Task(folder / "labels", "yolo", target, "annotations", folder / "images"))
    assert lines(folder) == ["images/train/1.png 0,0,10,10,0", "images/val/1.png 0,0,10,10,1"]


def test_classes_select_and_order_those_of_voc_and_coco(folder):
    (folder / "names").write_text("train\ntoothbrush\n")
    summary = convert(write_coco(folder)._replace(classes=folder / "names"))
    assert lines(folder) == ["b 1,2.jpg", "a.png 1,2,4.5,6,1"]
    assert not (folder / "out.names").exists()
    assert "dropped 2 boxes, of a class that --classes leaves out: 'bicycle' 2\n" in summary
    assert "kept 1 picture, as background: they have no box" in summary


# Round trips


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
    to = Task(folder / "in.txt", "annotations", there, name, classes=folder / "names")
    back = Task(there, name, folder / "out.txt", "annotations", folder, folder / "names")

    @settings(max_examples=40, deadline=None)
    @given(boxes(decimals=0) | boxes(decimals=4), boxes(decimals=2))
    def check(first, second):
        pictures, texts = (first, second), []
        for path, rows in zip(("a.png", "b 1,2.jpg"), pictures, strict=True):
            words = [f"{x1:g},{y1:g},{x2:g},{y2:g},{c}" for (x1, x2), (y1, y2), c in rows]
            texts.append(" ".join([path, *words]))
        (folder / "in.txt").write_text("\n".join(texts))
        convert(to._replace(corners=corners, overwrite=True))
        if name in ("voc", "coco") and not any(pictures):
            return  # no class of --classes is in it
        convert(back._replace(corners=corners, overwrite=True))
        expected = read_annotations(folder / "in.txt")
        for one, other in zip(expected, read_annotations(folder / "out.txt"), strict=True):
            assert one.image_path == other.image_path
            np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)
            np.testing.assert_array_equal(one.classes, other.classes)

    check()


def test_a_tour_of_all_formats_ends_where_it_began(folder):
    (folder / "in.txt").write_text("a.png 0,0,60,40,2 1.25,2.5,33.3333,7,0\nb 1,2.jpg 5,5,6,6,1")
    tour = [
        ("annotations", "in.txt"),
        ("coco", "1.json"),
        ("voc", "2"),
        ("yolo", "3"),
        ("coco", "4.json"),
        ("annotations", "out.txt"),
    ]
    for (source_format, source), (target_format, target) in zip(tour, tour[1:], strict=False):
        pictures = None if source == "in.txt" else folder
        paths = folder / source, source_format, folder / target, target_format
        convert(Task(*paths, pictures, folder / "names"))
    assert lines(folder) == lines(folder, "in.txt")


def test_pycocotools_reads_what_is_written(folder, capsys):
    (folder / "in.txt").write_text("b 1,2.jpg\na.png 1,2,4.5,6,2 0.1,0.2,0.3,0.4,0")
    source = folder / "in.txt", "annotations"
    convert(Task(*source, folder / "out.json", "coco", classes=folder / "names"))
    coco = COCO(folder / "out.json")
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == NAMES
    image = coco.loadImgs(coco.getImgIds())[1]
    assert image == {"id": 2, "file_name": "a.png", "width": 60, "height": 40}
    first, second = coco.loadAnns(coco.getAnnIds(imgIds=2))
    assert first["bbox"] == [1, 2, 3.5, 4] and first["area"] == 14 and first["category_id"] == 3
    assert second["bbox"] == [0.1, 0.2, 0.2, 0.2]
    assert coco.getAnnIds(imgIds=1) == []


# What is dropped


def test_bad_boxes_are_dropped_cut_and_counted(folder):
    bad = [[5, 5, 0, 3], [5, 5, -2, 3], [70, 5, 3, 3], [50, 30, 20, 20], [0, 0, 60.5, 40]]
    annotations = [{"image_id": 3, "category_id": 2, "bbox": box} for box in bad]
    summary = convert(write_coco(folder, annotations=annotations))
    assert lines(folder) == ["b 1,2.jpg", "a.png 50,30,60,40,0 0,0,60,40,0"]
    assert "dropped 2 boxes, empty or inverted" in summary
    assert "dropped 1 box, outside their picture" in summary
    assert "cut 1 box, at the edge of their picture" in summary
    assert summary.splitlines()[0] == f"read 2 pictures and 5 boxes from {folder / 'in.json'}"
    assert f"wrote {folder / 'out.txt'}: 2 pictures, 2 boxes" in summary


def test_unusable_pictures_are_dropped_with_their_boxes(folder):
    (folder / "broken.png").write_bytes(b"no picture")
    images = [
        {"id": 1, "file_name": "gone.png"},
        {"id": 2, "file_name": "broken.png"},
        {"id": 3, "file_name": "a.png"},
        {"id": 7, "file_name": "b 1,2.jpg", "width": 40, "height": 60},
    ]
    summary = convert(write_coco(folder, images=images))
    assert lines(folder) == ["a.png 1,2,4.5,6,1 5,6,15,16,0"]
    assert "dropped 2 pictures, which cannot be read: " in summary
    assert "gone.png' (no such file); " in summary and "(not a known picture format)" in summary
    assert "b 1,2.jpg' (is 60x40, annotated as 40x60)" in summary
    assert "dropped 1 box, as their pictures were dropped" in summary


def test_label_files_without_a_picture_are_counted(folder):
    summary = convert(write_yolo(folder, "0 .5 .5 1 1", "gone.txt"))
    assert "dropped 1 label file, without a picture: " in summary and "gone.txt" in summary
    assert "kept 2 pictures, as background" in summary


def test_sizes_can_be_taken_from_the_annotations(folder):
    for picture in folder.glob("*.[pj]*g"):
        picture.unlink()
    task = write_coco(folder)
    with pytest.raises(
        ValueError, match=r"expected pictures; received 2 which cannot be read, first .*\(no"
    ):
        convert(task)
    summary = convert(task._replace(trust_sizes=True))
    assert lines(folder) == ["b 1,2.jpg 0,0,60,40,0"]
    assert "dropped 1 picture, whose size is not known: " in summary


# Input that is refused

LAUGHS = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;">]><annotation><filename>&c;</filename></annotation>"""
OUTSIDE = """<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<annotation><filename>&x;</filename></annotation>"""
EBCDIC = b"<?xml version='1.0' encoding='cp037'?>" + LAUGHS[21:].encode("cp037")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "a.xml: expected XML without a document type; received <!DOCTYPE"),
        (OUTSIDE, "a.xml: expected XML without a document type"),
        (LAUGHS.encode("utf-16"), "a.xml: expected UTF-8 text; received"),
        (EBCDIC, "a.xml: expected"),
        ("", "a.xml: expected VOC XML; received no element found"),
        (VOC[:-9], "a.xml: expected VOC XML; received"),
        ("<html/>", "a.xml: expected <annotation>; received <html>"),
        ("<annotation/>", "a.xml: expected <filename>; received none"),
        ("<annotation>&x;</annotation>", "undefined entity"),
        (VOC.replace("bndbox", "box"), "a.xml: object 1: expected <bndbox>; received none"),
        (VOC.replace("<name>dog</name>", ""), "a.xml: object 1: expected <name>; received none"),
        (VOC.replace("cat", "a\nb"), "a.xml: object 2 <name>: expected a class name on one line"),
        (VOC.replace("21.5", "1_0"), "a.xml: object 2 <ymin>: expected a number; received '1_0'"),
        (VOC.replace("21.5", "nan"), "a.xml: object 2 <ymin>: expected a number; received 'nan'"),
        (VOC.replace("21.5", "1e999"), "expected a number; received '1e999'"),
        (VOC.replace("<width>60", "<width>x"), "a.xml: size <width>: expected a number; rec"),
    ],
)
def test_bad_voc_is_refused(folder, text, message):
    task = write_voc(folder)
    (folder / "a.xml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError) as error:
        convert(task)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (folder / "out.txt").exists()


def test_deeply_nested_xml_is_harmless(folder):
    with pytest.raises(ValueError, match="expected <annotation>"):
        convert(write_voc(folder, "<a>" * 200_000 + "</a>" * 200_000))


BOX = {"image_id": 3, "category_id": 2, "bbox": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": {}}, "in.json: expected a list 'images'; received {}"),
        ({"categories": None}, "in.json: expected a list 'categories'; received None"),
        ({"annotations": [3]}, "in.json: annotations[0]: expected an object; received 3"),
        ({"images": [{"id": 1}, {"id": 1}]}, "images[1].id: expected an id of its own; received 1"),
        ({"images": [{"id": [1]}]}, "images[0].id: expected an id of its own; received [1]"),
        ({"images": [{"id": 3}, {"id": 7}]}, "images[0].file_name: expected a text; received None"),
        ({"images": [{"id": 3, "file_name": "a.png", "width": "6"}]}, "images[0].width: expected"),
        ({"annotations": [BOX | {"image_id": 4}]}, "annotations[0].image_id: expected the id of"),
        ({"annotations": [BOX | {"category_id": True}]}, "annotations[0].category_id: expected"),
        ({"annotations": [BOX, BOX | {"bbox": [1, 2]}]}, "annotations[1].bbox: expected [x, y, w"),
        ({"annotations": [BOX | {"bbox": [1, 2, 3, "4"]}]}, "as numbers; received [1, 2, 3, '4']"),
        ({"annotations": [BOX | {"bbox": [1, 2, 3, float("nan")]}]}, "received [1, 2, 3, nan]"),
        ({"annotations": [BOX | {"bbox": [1, 2, 3, 10**400]}]}, "received [1, 2, 3, 1000"),
        ({"annotations": [BOX | {"bbox": None}]}, "annotations[0].bbox: expected [x, y, width"),
        (
            {"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": " a"}]},
            "categories[1].name: expected a new name; received 'a'",
        ),
        ({"categories": [{"id": 1, "name": "\u001b[31m"}]}, "expected a class name on one line"),
        ({"categories": [{"id": 1, "name": "\ud800"}]}, "expected a class name on one line"),
    ],
)
def test_bad_coco_is_refused(folder, changes, message):
    with pytest.raises(ValueError) as error:
        convert(write_coco(folder, **changes))
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not (folder / "out.txt").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "in.json:1: expected JSON; received Expecting value"),
        ('{"images": [],\n}', "in.json:"),
        ("[]", "in.json: expected a JSON object; received []"),
        ("[" * 200_000, "in.json: expected COCO JSON; received"),
        (b'{"a": "\xff"}', "in.json: expected UTF-8 text; received"),
        ("9" * 5000, "in.json: expected COCO JSON; received"),
    ],
)
def test_bad_json_is_refused(folder, text, message):
    task = write_coco(folder)
    (folder / "in.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError) as error:
        convert(task)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 .5 .5 .1 .1\n0 .5 .5 .1", "a.txt:2: expected 'class x_centre y_centre width height'"),
        ("0 .1 .2 .3 .4 .5 .6", "a.txt:1: expected 'class x_centre y_centre width height'; rec"),
        ("2 .5 .5 .1 .1", "a.txt:1: expected a class in [0, 1]; received '2'"),
        ("-1 .5 .5 .1 .1", "a.txt:1: expected a class in [0, 1]; received '-1'"),
        ("0.5 .5 .5 .1 .1", "a.txt:1: expected a class in [0, 1]; received '0.5'"),
        ("0 30 20 10 10", "a.txt:1: expected shares of the picture from 0 to 1; received"),
        ("0 inf .5 .1 .1", "a.txt:1: expected a number; received 'inf'"),
        ("cat .5 .5 .1 .1", "a.txt:1: expected a number; received 'cat'"),
    ],
)
def test_bad_yolo_is_refused(folder, text, message):
    with pytest.raises(ValueError) as error:
        convert(write_yolo(folder, text))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_yolo_needs_class_names_and_one_picture_per_label_file(folder):
    task = write_yolo(folder, "0 .5 .5 1 1")
    Image.new("RGB", (8, 8)).save(folder / "a.bmp")
    with pytest.raises(ValueError, match="a.png: expected one picture .*; received also .*a.bmp"):
        convert(task)
    (folder / "labels" / "classes.txt").unlink()
    with pytest.raises(ValueError, match=r"expected class names in classes.txt or .* --classes"):
        convert(task)


def test_a_data_set_without_a_wanted_class_is_refused(folder):
    task = write_coco(folder)
    with pytest.raises(ValueError, match="expected at least one of the classes .*'cat'.*bicycle"):
        convert(task._replace(classes=folder / "names"))


# What is written


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
        with pytest.raises(ValueError, match="expected an output; received a file that is read"):
            convert(again)
    with pytest.raises(ValueError, match="expected a file to write; received a folder"):
        convert(task._replace(target=folder, overwrite=True))
    assert (folder / "in.json").read_bytes() == before


def test_nothing_is_left_of_a_failed_write(folder, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(output.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        convert(write_coco(folder)._replace(target_format="voc", target=folder / "xml"))
    assert list((folder / "xml").iterdir()) == []


def test_pictures_of_one_name_cannot_share_a_file(folder):
    images = [{"id": 3, "file_name": "a.png"}, {"id": 7, "file_name": "sub/a.jpg"}]
    (folder / "sub").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "sub" / "a.jpg")
    task = write_coco(folder, images=images)
    with pytest.raises(ValueError, match="sub/a.jpg: expected a name of its own.*'a'"):
        convert(task._replace(target_format="yolo", target=folder / "labels"))
    convert(task)  # annotation lines have room for both


def test_yolo_cannot_label_a_picture_called_like_the_class_file(folder):
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "classes.png")
    (folder / "in.txt").write_text("classes.png 1,2,3,4,0")
    source = folder / "in.txt", "annotations"
    with pytest.raises(ValueError, match="classes.png: expected a name of its own"):
        convert(Task(*source, folder / "labels", "yolo", classes=folder / "names"))


# The command


def run_tool(folder, *arguments):
    command = [sys.executable, str(ROOT / "tools" / "convert.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_tool_converts_and_prints_the_summary(folder):
    write_voc(folder)
    result = run_tool(folder, "--from", "voc", "a.xml", "--to", "annotations", "new/out.txt")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "read 1 picture and 2 boxes from a.xml",
        "2 classes: cat 1, dog 1",
        "wrote new/out.txt: 1 picture, 2 boxes",
        "wrote new/out.names: 2 classes",
    ]
    assert lines(folder, "new/out.txt") == ["a.png 0,0,60,40,1 10,20.5,11,30,0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "voc", "none", "--to", "coco", "x"], "error: none: expected a text file; rec"),
        (["--from", "xml", "a", "--to", "coco", "x"], "--from: expected one of annotations, voc"),
        (["--from", "yolo", "a", "--to", "coco", "x"], "a: expected a folder of YOLO label files"),
        (["--from", "annotations", "a", "--to", "coco", "x"], "a: expected class names for its"),
        (
            ["--from", "yolo", "a", "--to", "coco", "x", "--trust-sizes"],
            "--trust-sizes: expected --from voc or coco; received 'yolo'",
        ),
    ],
)
def test_the_tool_answers_bad_input_with_one_line(folder, arguments, message):
    result = run_tool(folder, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in result.stderr.splitlines()[-1] and "Traceback" not in result.stderr
