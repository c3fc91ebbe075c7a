"""COCO: ids, crowds and class choice, what pycocotools makes of it, and JSON that is refused."""

from pathlib import Path

import pytest
from format_samples import NAMES, assert_refused, lines, write_coco
from pycocotools.coco import COCO

from yolov3.formats.coco import read_coco
from yolov3.formats.common import ConversionLog
from yolov3.formats.conversion import ConversionJob, Source, convert

BOX = {"image_id": 3, "category_id": 2, "bbox": [1, 2, 3, 4]}


def test_coco_ids_may_have_gaps_and_crowds_are_dropped(folder):
    summary = convert(write_coco(folder))
    assert lines(folder) == ["b 1,2.jpg 0,0,60,40,0", "a.png 1,2,4.5,6,1 5,6,15,16,0"]
    assert lines(folder, "out.names") == ["bicycle", "toothbrush"]
    assert "dropped 1 box, of a crowd: annotations[3]" in summary
    assert "2 classes: bicycle 2, toothbrush 1" in summary


def test_pycocotools_reads_what_is_written(folder, capsys):
    (folder / "in.txt").write_text("b 1,2.jpg\na.png 1,2,4.5,6,2 0.1,0.2,0.3,0.4,0")
    source = Source("annotations", folder / "in.txt", names=folder / "names")
    convert(ConversionJob([source], folder / "out.json", "coco"))
    coco = COCO(folder / "out.json")
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == NAMES
    image = coco.loadImgs(coco.getImgIds())[1]
    assert image == {"id": 2, "file_name": "a.png", "width": 60, "height": 40}
    first, second = coco.loadAnns(coco.getAnnIds(imgIds=2))
    assert first["bbox"] == [1, 2, 3.5, 4] and first["area"] == 14 and first["category_id"] == 3
    assert second["bbox"] == [0.1, 0.2, 0.2, 0.2]
    assert coco.getAnnIds(imgIds=1) == []


def read(folder, **changes):
    log = ConversionLog()
    return read_coco(write_coco(folder, **changes).sources[0].path, None, log), log


def boxes(data):
    return {Path(one.path).name: one.boxes_xyxy.tolist() for one in data.images}


@pytest.mark.parametrize(
    ("change", "box"),
    [
        ({"bbox": ["1", "2.0", " 3 ", "4e0"]}, [1, 2, 4, 6]),
        ({"image_id": "3", "category_id": 2.0}, [1, 2, 4, 6]),
        ({"iscrowd": "0"}, [1, 2, 4, 6]),
        ({"iscrowd": False, "score": None}, [1, 2, 4, 6]),
        ({"iscrowd": None}, [1, 2, 4, 6]),
        ({"iscrowd": 0.0}, [1, 2, 4, 6]),
        ({"bbox": [], "segmentation": [[1, 2, 5, 2, 5, 9.5]]}, [1, 2, 5, 9.5]),
        ({"bbox": [0, 0, 0, 0.0], "segmentation": [[1, 2, 5, 2, 5, 9.5]]}, [1, 2, 5, 9.5]),
        ({"bbox": None, "segmentation": [[1, 2, 5, 2, 5, 9], [8, 8, 9, 8, 9, 20]]}, [1, 2, 9, 20]),
    ],
)
def test_values_whose_meaning_is_certain_are_read(folder, change, box):
    data, log = read(folder, annotations=[BOX | change])
    assert boxes(data) == {"b 1,2.jpg": [], "a.png": [box]} and not log.faults
    assert ("read 1 box, as large as its outline" in str(log)) == ("segmentation" in change)


@pytest.mark.parametrize("value", [1, True, "1", 1.0])
def test_images_that_still_show_a_crowd_are_counted(folder, value):
    data, log = read(folder, annotations=[BOX, BOX | {"iscrowd": value}, BOX | {"iscrowd": value}])
    assert boxes(data)["a.png"] == [[1, 2, 4, 6]]
    assert "dropped 2 boxes, of a crowd" in str(log)
    assert "kept 1 image, with a crowd that has no box" in str(log)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            {"category_id": 9},
            "[1].category_id: expected the id of a category; received 9",
        ),
        ({"category_id": True}, "category_id: expected the id of a category; received True"),
        ({"category_id": "9" * 5000}, "category_id: expected the id of a category; received '99"),
        ({"iscrowd": "maybe"}, "annotations[1].iscrowd: expected 0 or 1; received 'maybe'"),
        ({"bbox": "[1, 2, 3, 4]"}, "as numbers; received '[1, 2, 3, 4]'"),
        ({"bbox": [1, 2]}, "annotations[1].bbox: expected [x, y, width, height] as numbers; rec"),
        ({"bbox": [1, 2, 3, "four"]}, "annotations[1].bbox: expected a number; received 'four'"),
        ({"bbox": ["1,5", 2, 3, 4]}, "annotations[1].bbox: expected a number; received '1,5'"),
        ({"bbox": [1, 2, 3, float("nan")]}, "annotations[1].bbox: expected a number; received nan"),
        ({"bbox": None, "segmentation": {"counts": "x"}}, "as numbers; received None"),
        ({"bbox": [], "keypoints": [1, 2, 2]}, "as numbers; received []"),
    ],
)
def test_an_image_with_a_bad_annotation_is_a_fault_and_left_out(folder, change, fault):
    whole = BOX | {"image_id": 7}
    data, log = read(folder, annotations=[BOX, BOX | change, whole, BOX | {"bbox": "x"}])
    assert boxes(data) == {"b 1,2.jpg": [[1, 2, 4, 6]]}
    assert len(log.faults) == 2 and fault in log.faults[0] and "[3].bbox" in log.faults[1]
    assert "dropped 1 image, with an annotation that cannot be read" in str(log)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"id": None}, "images[1].id: expected an id; received None"),
        ({"id": "7"}, "images[1].id: expected an id of its own; received '7'"),
        ({"file_name": None}, "images[1].file_name: expected a text; received None"),
        ({"width": "6O"}, "images[1].width: expected a number; received '6O'"),
        ({"file_name": "sub/../b 1,2.jpg"}, "b 1,2.jpg', as that of {}: images[0]"),
        ({"file_name": "b 1,2.jpg"}, "b 1,2.jpg', as that of {}: images[0]"),
    ],
)
def test_faults_of_images(folder, change, fault):
    images = [{"id": 7, "file_name": "b 1,2.jpg"}, {"id": 3, "file_name": "a.png"} | change]
    annotations = [BOX, BOX | {"image_id": 7, "bbox": [0, 0, 9, 9]}]
    data, log = read(folder, images=images, annotations=annotations)
    assert len(log.faults) == 1 and fault.format(folder / "in.json") in log.faults[0]
    assert "a.png" not in boxes(data)


def test_sizes_may_be_text(folder):
    entry = {"id": "3", "file_name": "a.png", "width": "60.0", "height": 40.0}
    data, log = read(folder, images=[entry], annotations=[BOX])
    assert boxes(data) == {"a.png": [[1, 2, 4, 6]]} and not log.faults
    assert data.images[0].size_wh == (60, 40)


def test_annotations_of_images_that_are_not_in_the_file_are_counted(folder):
    _, log = read(folder, annotations=[BOX, BOX | {"image_id": 99}])
    assert "dropped 1 box, of an image that is not in the file: " in str(log)


def test_root_categories_and_double_names_are_no_classes(folder):
    categories = [
        {"id": 0, "name": "animals", "supercategory": "none"},
        {"id": 2, "name": "cat", "supercategory": "animals"},
        {"id": 3, "name": 7, "supercategory": "7"},
        {"id": 4, "name": " cat", "supercategory": "animals"},
    ]
    annotations = [BOX, BOX | {"category_id": 4, "bbox": [5, 6, 7, 8]}]
    data, log = read(folder, categories=categories, annotations=annotations)
    assert data.class_names == ["cat", "7"] and data.images[1].classes.tolist() == [0, 0]
    assert "skipped 1 class, the root of others, without annotation: 'animals'" in str(log)
    assert "merged 1 class, of a name that another category has: 'cat'" in str(log)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": {}}, "in.json: expected a list 'images'; received {}"),
        ({"categories": None}, "in.json: expected a list 'categories'; received None"),
        ({"annotations": [3]}, "in.json: annotations[0]: expected an object; received 3"),
        ({"annotations": [BOX | {"image_id": 4}]}, "annotations[0].image_id 4: expected the id of"),
        (
            {"categories": [{"id": 1, "name": "a"}, {"id": "1", "name": "b"}]},
            "categories[1].id: expected an id of its own; received '1'",
        ),
        (
            {"categories": [{"id": 1, "name": "\u001b[31m"}]},
            "categories[0].name: expected a class name on one line",
        ),
    ],
)
def test_bad_coco_is_refused(folder, changes, message):
    assert_refused(write_coco(folder, **changes), message)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings_with_a_byte_order_mark_are_read(folder, encoding):
    job = write_coco(folder)
    path = job.sources[0].path
    path.write_text(path.read_text(), encoding=encoding)
    assert read_coco(path, None, ConversionLog()).num_boxes == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "in.json:1: expected JSON; received Expecting value"),
        ("[]", "annotations and categories (a list, as detections are saved); received []"),
        ("[" * 200_000, "in.json: expected COCO JSON; received"),
        ("9" * 5000, "in.json: expected COCO JSON; received"),
    ],
)
def test_bad_json_is_refused(folder, text, message):
    job = write_coco(folder)
    (folder / "in.json").write_text(text)
    assert_refused(job, message)
