"""What formats share: the log of a conversion, numbers as text, and the choice of classes."""

import pytest
from format_samples import lines, with_source, write_coco

from yolov3.formats.common import ConversionLog
from yolov3.formats.conversion import convert


def test_reasons_are_counted_in_the_order_of_appearance():
    log = ConversionLog()
    log.add("dropped", "image", "which cannot be read", ["a.png"])
    log.add("cut", "box", "at the edge", [], count=1200)
    log.add("dropped", "image", "which cannot be read", ["b.png", "c.png", "d.png"])
    log.add("dropped", "box", "of a crowd", [])  # none
    assert str(log).splitlines() == [
        "dropped 4 images, which cannot be read: a.png; b.png; c.png ...",
        "cut 1,200 boxes, at the edge",
    ]


def test_classes_select_and_order_those_of_voc_and_coco(folder):
    (folder / "names").write_text("train\ntoothbrush\n")
    summary = convert(with_source(write_coco(folder), names=folder / "names"))
    assert lines(folder) == ["b 1,2.jpg", "a.png 1,2,4.5,6,1"]
    assert lines(folder, "out.names") == ["train", "toothbrush"]
    assert "dropped 2 boxes, of a class that --names leaves out: 'bicycle' 2\n" in summary
    assert "kept 1 image, as background: --names leaves out all their classes" in summary


def test_a_data_set_without_a_wanted_class_is_refused(folder):
    job = write_coco(folder)
    with pytest.raises(ValueError, match="expected at least one of the classes .*'cat'.*bicycle"):
        convert(with_source(job, names=folder / "names"))
