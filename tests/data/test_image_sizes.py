"""Sizes of many images, and the errors of those that have none."""

from PIL import Image

from yolov3.data.image_sizes import read_sizes


def test_each_image_has_its_size_or_its_error_in_order(tmp_path):
    for width in range(1, 41):
        Image.new("RGB", (width, 7)).save(tmp_path / f"ü {width}.png")
    sizes = read_sizes([str(tmp_path / f"ü {1 + i % 41}.png") for i in range(600)], "")
    assert len(sizes) == 600
    for index, size in enumerate(sizes):
        width = 1 + index % 41
        assert size == (width, 7) if width < 41 else size.kind == "missing image"
    assert read_sizes([], "") == []
