"""Tests of the comparison on BCCD with what every user has: none of the other trainers."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from format_samples import VOC, write_voc
from PIL import Image

from benchmarks import others_on_bccd
from benchmarks.others_on_bccd import average_precisions, in_coco, main, parse_args
from yolov3.annotations import Record, read_annotations
from yolov3.metrics import average_precision, match_detections

PARTS = {"train": "ab", "val": "c", "test": "de"}


@pytest.fixture
def data(tmp_path):
    """A folder like BCCD's, with five images of two boxes."""
    data = tmp_path / "data"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (data / name).mkdir(parents=True)
    for part, stems in PARTS.items():
        for stem in stems:
            Image.new("RGB", (60, 40), (ord(stem), 0, 0)).save(data / f"JPEGImages/{stem}.png")
            write_voc(data / "Annotations", VOC.replace("a.png", f"{stem}.png"), f"{stem}.xml")
        (data / f"ImageSets/Main/{part}.txt").write_text("\n".join(stems))
    return data


def perfect(shift=0.0):
    """Return an engine whose detector knows the true boxes, or is off by `shift` pixels."""

    def train(args, started):
        records = read_annotations(args.output / "bccd_test.txt")
        known = {one.image_path: (one.boxes_xyxy + shift, one.classes) for one in records}

        def detect(path):
            boxes_xyxy, classes = known[path]
            return boxes_xyxy, np.full(len(classes), 0.5), classes

        return detect, {"epochs": "3", "precision": "float32"}

    return SimpleNamespace(train=train)


def run_in_this_process(command, **_):
    assert main(command[2:]) == 0
    return SimpleNamespace(returncode=0)


@pytest.mark.parametrize(("shift", "maps"), [(0.0, "1.000 | 1.000 | 1.000"), (30.0, "0.000 |")])
def test_engines_are_judged_by_the_test_images(data, tmp_path, monkeypatch, capsys, shift, maps):
    args = parse_args([str(data), "--minutes", "1", "--output", str(tmp_path / "out")])
    others_on_bccd.convert_data(args.data, args.output)
    labels = {path.stem for path in (tmp_path / "out/yolo/labels/train").glob("*.txt")}
    assert labels == {"a", "b", "classes"}
    monkeypatch.setitem(sys.modules, "benchmarks.trained_torchvision", perfect(shift))
    monkeypatch.setattr(others_on_bccd.subprocess, "run", run_in_this_process)
    row = others_on_bccd.row_of("ssdlite", args)
    assert " | ".join(row).startswith(
        f"torchvision, SSDLite320 MobileNetV3 | 0.0 | 3 | float32 | {maps}"
    )


def test_map_is_that_of_this_repository(tmp_path):
    rng, records, detections, found = np.random.default_rng(0), [], [], []
    truth = {"images": [], "annotations": [], "categories": [{"id": 1}, {"id": 2}]}
    for image in range(1, 9):
        corners = rng.uniform(0, 80, (6, 2))
        boxes_xyxy = np.hstack([corners, corners + rng.uniform(10, 40, (6, 2))])
        classes = rng.integers(0, 2, 6)
        records.append(Record(f"{image}.png", boxes_xyxy, classes, image))
        detections.append((boxes_xyxy + rng.normal(0, 2, (6, 4)), rng.random(6), classes))
        found += in_coco(image, *detections[-1])
        truth["images"].append({"id": image})
        for box in in_coco(image, boxes_xyxy, np.ones(6), classes):
            size = {"area": box["bbox"][2] * box["bbox"][3], "iscrowd": 0}
            truth["annotations"].append(box | size | {"id": len(truth["annotations"]) + 1})
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    ours = average_precision(match_detections(records, detections, 2), ["a", "b"])
    expected = [ours[name] for name in ("mAP50", "mAP75", "mAP")]
    assert 0.2 < expected[2] < expected[0] < 1
    assert average_precisions(tmp_path / "truth.json", found) == pytest.approx(expected)
    assert average_precisions(tmp_path / "truth.json", []) == [0, 0, 0]
