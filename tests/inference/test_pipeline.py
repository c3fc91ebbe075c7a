"""Detection over sources: batches, order, what cannot be read, large images."""

import threading

import numpy as np
import pytest
from white_square_detector import (
    WhiteSquareDetector,
    damage_frame,
    dark_image,
    white_in_frame,
    write_video,
)

from yolov3.images import write_image
from yolov3.inference import frames
from yolov3.inference.captures import quiet_opencv
from yolov3.inference.pipeline import BATCH_SIZE, find_objects
from yolov3.inference.sources import find_sources


@pytest.fixture
def folder(tmp_path):
    """Return five images of several sizes, one of them broken, and a video of three frames."""
    quiet_opencv()
    for number, size_wh in enumerate([(40, 20), (300, 200), (1, 1), (96, 64)]):
        box = None if number == 3 else (0, 0, size_wh[0] // 2 or 1, size_wh[1])
        write_image(tmp_path / f"{number}.png", dark_image(*size_wh, box))
    (tmp_path / "1-broken.png").write_text("no image")
    damage_frame(write_video(tmp_path / "9.avi", frames=4), 2)
    return tmp_path


def find(detector, folder, batch_size):
    return list(find_objects(detector, find_sources([str(folder)]), batch_size, threading.Event()))


@pytest.mark.parametrize("batch_size", [1, 2, 3, 50, None])
def test_boxes_come_in_order_whatever_the_batch(folder, batch_size):
    found = find(WhiteSquareDetector(), folder, batch_size)
    sources = [item.frame.source.address.rpartition("/")[2] for item in found]
    assert sources == ["0.png", "1-broken.png", "1.png", "2.png", "3.png", *["9.avi"] * 4]
    assert [item.frame.lost for item in found] == [0, 1, 0, 0, 0, 0, 0, 1, 0]
    boxes = [item.boxes_xyxy.round().astype(int).tolist() for item in found]
    assert boxes[:5] == [[[0, 0, 20, 20]], [], [[0, 0, 150, 200]], [[0, 0, 1, 1]], []]
    for item, box in zip(found[5:], boxes[5:], strict=True):
        if not item.frame.error:
            np.testing.assert_allclose(box, [white_in_frame(item.frame.index)], atol=1)


def test_batches_are_as_large_as_asked(folder):
    for batch_size, expected in ((3, [2, 3, 2]), (50, [7]), (None, [3, 3, 1])):
        detector = WhiteSquareDetector()
        find(detector, folder, batch_size)
        assert detector.batches == expected  # less one for each that cannot be read
    assert BATCH_SIZE == 4


def test_the_images_of_large_images_are_not_held(folder, monkeypatch):
    monkeypatch.setattr(frames, "LARGE_PIXELS", 100 * 100)
    found = find(WhiteSquareDetector(), folder, None)
    images = [item.frame for item in found if not item.frame.error]
    held = {frame.size_hw: frame.image_rgb is not None for frame in images}
    assert held == {(20, 40): True, (200, 300): False, (1, 1): True, (64, 96): True, (48, 64): True}
