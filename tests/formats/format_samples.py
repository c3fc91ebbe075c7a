"""Two small images annotated as VOC, COCO and YOLO, as tasks to convert them."""

import json

import pytest

from yolov3.formats.conversion import ConversionJob, Source, convert

NAMES = ["cat", "dog & <co>", "möwe"]
WIDTH, HEIGHT = 60, 40  # pixels

VOC = """<annotation>
  <folder>x</folder><filename>a.png</filename><path>/elsewhere/a.png</path>
  <size><width>60</width><height>40</height><depth>3</depth></size>
  <object><name>dog</name><part><name>head</name><bndbox><xmin>2</xmin></bndbox></part>
    <bndbox><xmax>60</xmax><xmin>1</xmin><ymin>1</ymin><ymax>40</ymax></bndbox></object>
  <object><name> cat </name><difficult>1</difficult>
    <bndbox><xmin>11</xmin><ymin>21.5</ymin><xmax>11</xmax><ymax>30</ymax></bndbox></object>
</annotation>"""


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
    return ConversionJob([Source("coco", folder / "in.json")], folder / "out.txt", "annotations")


def write_voc(folder, text=VOC, name="a.xml"):
    (folder / name).write_text(text, encoding="utf-8")
    return ConversionJob([Source("voc", folder)], folder / "out.txt", "annotations")


def write_yolo(folder, text, name="a.txt"):
    (folder / "labels" / name).parent.mkdir(parents=True)
    (folder / "labels" / "classes.txt").write_text("cat\ndog\n")
    (folder / "labels" / name).write_text(text)
    source = Source("yolo", folder / "labels", folder)
    return ConversionJob([source], folder / "out.txt", "annotations", overwrite=True)


def with_source(job: ConversionJob, **changes) -> ConversionJob:
    """Return a job whose source differs in this."""
    return job._replace(sources=[job.sources[0]._replace(**changes)])


def lines(folder, name="out.txt"):
    text = (folder / name).read_text(encoding="utf-8")
    return text.replace(f"{folder}/", "").splitlines()


def assert_refused(job: ConversionJob, message: str) -> None:
    """Convert, which must raise a ValueError of one line with this message and write nothing."""
    with pytest.raises(ValueError) as error:
        convert(job)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not job.target.exists()
