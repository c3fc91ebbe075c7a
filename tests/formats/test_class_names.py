"""--classes: which classes are kept, and in which order."""

import pytest
from format_samples import lines, write_coco

from yolov3.formats.conversion import convert


def test_classes_select_and_order_those_of_voc_and_coco(folder):
    (folder / "names").write_text("train\ntoothbrush\n")
    summary = convert(write_coco(folder)._replace(classes=folder / "names"))
    assert lines(folder) == ["b 1,2.jpg", "a.png 1,2,4.5,6,1"]
    assert not (folder / "out.names").exists()
    assert "dropped 2 boxes, of a class that --classes leaves out: 'bicycle' 2\n" in summary
    assert "kept 1 image, as background: they have no box" in summary


def test_a_data_set_without_a_wanted_class_is_refused(folder):
    task = write_coco(folder)
    with pytest.raises(ValueError, match="expected at least one of the classes .*'cat'.*bicycle"):
        convert(task._replace(classes=folder / "names"))
