"""The columns of a data set: images and boxes stay together whatever is left out."""

import numpy as np
import pytest

from yolov3.formats.box_table import make_table

ROWS = [
    ("a", (60, 40), [[0, 0, 1, 1], [0, 0, 2, 2]], [0, 1]),
    ("b", (30, 20), [], []),
    ("c", (10, 10), [[0, 0, 3, 3]], [2]),
]


@pytest.fixture
def table():
    return make_table(ROWS, ["x", "y", "z"], ["a.json"])


def rows(table):
    return [
        (path, size_wh, boxes_xyxy[:, 2].tolist(), classes.tolist())
        for path, size_wh, boxes_xyxy, classes in table.images()
    ]


def test_images_come_with_their_boxes(table):
    assert table.image_index.tolist() == [0, 0, 2]
    assert rows(table) == [
        ("a", (60, 40), [1, 2], [0, 1]),
        ("b", (30, 20), [], []),
        ("c", (10, 10), [3], [2]),
    ]


def test_left_out_boxes_leave_their_images(table):
    left = rows(table.keep_boxes(np.array([False, True, False])))
    assert [row[2] for row in left] == [[2], [], []]


def test_left_out_images_take_their_boxes_along(table):
    left = table.keep_images(np.array([False, True, True]))
    assert rows(left) == [("b", (30, 20), [], []), ("c", (10, 10), [3], [2])]
    assert left.image_index.tolist() == [1]


def test_a_table_may_be_empty():
    assert rows(make_table([], [], [])) == []
