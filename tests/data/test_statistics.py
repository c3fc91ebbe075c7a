"""The boxes of a data set in numbers and plots, with and without augmentation."""

import numpy as np
import pytest
from PIL import Image

from yolov3.annotations import Record
from yolov3.augment import Augmentation
from yolov3.data.data_plots import statistics_figure
from yolov3.data.statistics import (
    augment_boxes,
    augmented,
    read_sized_annotations,
    statistics_of,
)


def record(*boxes_xyxy):
    boxes_xyxy = np.array(boxes_xyxy, np.float32).reshape(-1, 4)
    return Record("x.png", boxes_xyxy, np.zeros(len(boxes_xyxy), np.int32), 1)


def test_sizes_come_with_the_annotations(tmp_path):
    Image.new("RGB", (200, 100)).save(tmp_path / "wide.png")
    path = tmp_path / "a.txt"
    path.write_text("wide.png 0,0,200,100,0 20,10,30,40,0\n")
    records, sizes_wh = read_sized_annotations(path)
    assert len(records) == 1 and sizes_wh.tolist() == [[200, 100]]
    path.write_text("wide.png\ngone.png")
    with pytest.raises(ValueError, match="a.txt:2: .*gone.png: .*no such file"):
        read_sized_annotations(path)


def test_statistics_are_of_the_letterboxed_input():
    sizes_wh = np.array([[100, 50], [30, 30]])
    statistics = statistics_of([record((0, 0, 100, 50), (10, 10, 20, 30)), record()], sizes_wh, 200)
    assert statistics.boxes_per_image.tolist() == [2, 0]
    assert statistics.boxes.centres.tolist() == [[100, 100], [30, 90]]
    assert statistics.boxes.sizes_wh.tolist() == [[200, 100], [20, 40]]
    assert statistics.classes.tolist() == [0, 0]


def test_augmented_boxes_are_those_of_the_real_images():
    """The blank stand-ins must give the boxes that images would, colours included."""
    settings = Augmentation(flip=0.5, scale=0.5, translate=0.3, value=0.5, mosaic=0.5, mixup=0.5)
    original = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    records = [record((10, 5, 20, 25)), record((3, 3, 50, 30), (1, 1, 9, 9)), record()]

    def load(index):
        return original, records[index].boxes_xyxy, records[index].classes

    changed, sizes_wh = augment_boxes(records, np.array([[60, 40]] * 3), settings, 7, 96)
    assert sizes_wh.tolist() == [[96, 96]] * 3
    for index, one in enumerate(changed):
        image, boxes_xyxy, classes = augmented(index, load, 3, settings, 7, 96)
        assert image.shape == (96, 96, 3)
        np.testing.assert_array_equal(one.boxes_xyxy, boxes_xyxy)
        np.testing.assert_array_equal(one.classes, classes)


def test_figures_stand_a_data_set_without_boxes_and_one_of_many_classes():
    statistics = statistics_of([record()], np.array([[30, 30]]), 32)
    names = [f"a rather long class name {number}" for number in range(100)]
    figure = statistics_figure({"annotated": statistics, "augmented": statistics}, names)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "boxes per class, 30 most frequent" and len(titles) == 6
    figure.draw_without_rendering()
