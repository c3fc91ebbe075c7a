"""Conversions there and back give the same boxes."""

import numpy as np
import pytest
from format_samples import HEIGHT, NAMES, WIDTH, lines
from hypothesis import given, settings
from hypothesis import strategies as st

from yolov3.annotations import read_annotations
from yolov3.formats.conversion import Task, convert
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
    to = Task(folder / "in.txt", "annotations", there, name, classes=folder / "names")
    back = Task(there, name, folder / "out.txt", "annotations", folder, folder / "names")

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
        images = None if source == "in.txt" else folder
        paths = folder / source, source_format, folder / target, target_format
        convert(Task(*paths, images, folder / "names"))
    assert lines(folder) == lines(folder, "in.txt")
