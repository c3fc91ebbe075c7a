"""COCO: ids, crowds and class choice, what pycocotools makes of it, and JSON that is refused."""

import pytest
from format_samples import NAMES, assert_refused, lines, write_coco
from pycocotools.coco import COCO

from yolov3.formats.conversion import ConversionJob, convert

BOX = {"image_id": 3, "category_id": 2, "bbox": [1, 2, 3, 4]}


def test_coco_ids_may_have_gaps_and_crowds_are_dropped(folder):
    summary = convert(write_coco(folder))
    assert lines(folder) == ["b 1,2.jpg 0,0,60,40,0", "a.png 1,2,4.5,6,1 5,6,15,16,0"]
    assert lines(folder, "out.names") == ["bicycle", "toothbrush"]
    assert "dropped 1 box, of a crowd: annotations[3]" in summary
    assert "2 classes: bicycle 2, toothbrush 1" in summary


def test_pycocotools_reads_what_is_written(folder, capsys):
    (folder / "in.txt").write_text("b 1,2.jpg\na.png 1,2,4.5,6,2 0.1,0.2,0.3,0.4,0")
    source = folder / "in.txt", "annotations"
    convert(ConversionJob(*source, folder / "out.json", "coco", names=folder / "names"))
    coco = COCO(folder / "out.json")
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == NAMES
    image = coco.loadImgs(coco.getImgIds())[1]
    assert image == {"id": 2, "file_name": "a.png", "width": 60, "height": 40}
    first, second = coco.loadAnns(coco.getAnnIds(imgIds=2))
    assert first["bbox"] == [1, 2, 3.5, 4] and first["area"] == 14 and first["category_id"] == 3
    assert second["bbox"] == [0.1, 0.2, 0.2, 0.2]
    assert coco.getAnnIds(imgIds=1) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": {}}, "in.json: expected a list 'images'; received {}"),
        ({"annotations": [3]}, "in.json: annotations[0]: expected an object; received 3"),
        ({"images": [{"id": 1}, {"id": 1}]}, "images[1].id: expected an id of its own; received 1"),
        ({"images": [{"id": 3}, {"id": 7}]}, "images[0].file_name: expected a text; received None"),
        ({"images": [{"id": 3, "file_name": "a.png", "width": "6"}]}, "images[0].width: expected"),
        ({"annotations": [BOX | {"image_id": 4}]}, "annotations[0].image_id: expected the id of"),
        ({"annotations": [BOX, BOX | {"bbox": [1, 2]}]}, "annotations[1].bbox: expected [x, y, w"),
        ({"annotations": [BOX | {"bbox": [1, 2, 3, "4"]}]}, "as numbers; received [1, 2, 3, '4']"),
        ({"annotations": [BOX | {"bbox": [1, 2, 3, float("nan")]}]}, "received [1, 2, 3, nan]"),
        (
            {"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": " a"}]},
            "categories[1].name: expected a new name; received 'a'",
        ),
        (
            {"categories": [{"id": 1, "name": "\u001b[31m"}]},
            "categories[0].name: expected a class name on one line",
        ),
    ],
)
def test_bad_coco_is_refused(folder, changes, message):
    assert_refused(write_coco(folder, **changes), message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "in.json:1: expected JSON; received Expecting value"),
        ("[]", "in.json: expected a JSON object; received []"),
        ("[" * 200_000, "in.json: expected COCO JSON; received"),
        ("9" * 5000, "in.json: expected COCO JSON; received"),
    ],
)
def test_bad_json_is_refused(folder, text, message):
    job = write_coco(folder)
    (folder / "in.json").write_text(text)
    assert_refused(job, message)
