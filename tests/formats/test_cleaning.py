"""What is dropped, cut and counted because nobody can train on it."""

import pytest
from format_samples import assert_refused, lines, write_coco

from yolov3.formats.conversion import convert


def box(x, y, width, height, image=3):
    return {"image_id": image, "category_id": 2, "bbox": [x, y, width, height]}


def test_boxes_over_the_edge_are_cut_and_counted(folder):
    annotations = [box(50, 30, 20, 20), box(0, 0, 60.5, 40)]
    summary = convert(write_coco(folder, annotations=annotations))
    assert lines(folder) == ["b 1,2.jpg", "a.png 50,30,60,40,0 0,0,60,40,0"]
    assert "cut 1 box, at the edge of their image" in summary
    assert summary.splitlines()[0] == f"read 2 images and 2 boxes from {folder / 'in.json'}"
    assert f"wrote {folder / 'out.txt'}: 2 images and 2 boxes" in summary


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (box(5, 5, 0, 3), "that is empty or inverted: {} (5,5,5,8)"),
        (box(5, 5, 3, -2), "that is empty or inverted: {} (5,5,8,3)"),
        (box(70, 5, 3, 3), "outside of it: {} (70,5,73,8)"),
        (box(5, -9, 3, 9), "outside of it: {} (5,-9,8,0)"),
    ],
)
def test_an_image_with_a_broken_box_goes_as_a_whole(folder, broken, reason):
    good = [box(0, 0, 9, 9), box(1, 1, 9, 9, image=7)]
    job = write_coco(folder, annotations=[good[0], broken, good[1]])
    summary = convert(job)
    assert lines(folder) == ["b 1,2.jpg 1,1,10,10,0"]  # a.png would lack one of its labels
    named = reason.format(repr(str(folder / "a.png")))
    assert f"dropped 1 image, with a box {named}" in summary
    assert "dropped 2 boxes, as their images were dropped" in summary
    assert "background" not in summary
    job = write_coco(folder, annotations=[broken], images=[{"id": 3, "file_name": "a.png"}])
    with pytest.raises(ValueError, match="none of the 1 can be used, first .*a.png', with a box "):
        convert(job._replace(overwrite=True))


def test_unusable_images_are_dropped_with_their_boxes(folder):
    (folder / "broken.png").write_bytes(b"no image")
    images = [
        {"id": 1, "file_name": "gone.png"},
        {"id": 2, "file_name": "broken.png"},
        {"id": 3, "file_name": "a.png"},
        {"id": 7, "file_name": "b 1,2.jpg", "width": 40, "height": 60},
    ]
    summary = convert(write_coco(folder, images=images))
    assert lines(folder) == ["a.png 1,2,4.5,6,1 5,6,15,16,0"]
    assert "dropped 2 images, which cannot be read: " in summary
    assert "gone.png' (no such file); " in summary and "(not a known image format, or" in summary
    assert "b 1,2.jpg' (is 60x40, annotated as 40x60)" in summary
    assert "dropped 1 box, as their images were dropped" in summary


def test_a_set_without_any_image_is_refused(folder):
    for image in folder.glob("*.[pj]*g"):
        image.unlink()
    assert_refused(write_coco(folder), "can be used, first ")
    assert_refused(write_coco(folder, images=[], annotations=[]), "expected images; none given")
