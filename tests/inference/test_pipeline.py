"""Detection over sources, and working ahead: order, batches, bounds, errors, leaving early."""

import itertools
import threading
import time

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
from yolov3.inference import pipeline
from yolov3.inference.pipeline import BATCH_SIZE, detect_frames, prefetch
from yolov3.inference.sources import find_sources
from yolov3.inference.video import quiet_opencv

PATIENCE_S = 10


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
    return list(detect_frames(detector, find_sources([str(folder)]), batch_size, threading.Event()))


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
    monkeypatch.setattr(pipeline, "LARGE_PIXELS", 100 * 100)
    found = find(WhiteSquareDetector(), folder, None)
    images = [item.frame for item in found if not item.frame.error]
    held = {frame.size_hw: frame.image_rgb is not None for frame in images}
    assert held == {(20, 40): True, (200, 300): False, (1, 1): True, (64, 96): True, (48, 64): True}


def counted(limit, taken):
    for number in range(limit):
        taken.append(number)
        yield number


def ahead_of(items, function=lambda item: item, workers=2, ahead=2, stop=None):
    return prefetch(items, function, workers, ahead, stop or threading.Event())


def test_work_is_done_at_the_same_time():
    together = threading.Barrier(3, timeout=PATIENCE_S)  # broken unless three work at once
    assert len(list(ahead_of(counted(6, []), lambda _: together.wait(), 3, 6))) == 6


def test_no_more_is_taken_than_may_wait():
    taken = []
    results = ahead_of(counted(1000, taken), ahead=3)
    assert next(results) == 0
    time.sleep(0.3)
    assert len(taken) == 4  # the one that was used, 3 that wait
    results.close()
    assert len(taken) == 4


def test_errors_of_items_and_of_the_function_come_in_their_turn():
    def items():
        yield from range(5)
        raise OSError("disk")

    def work(number):
        return 12 // (3 - number)

    for results, error, expected in (
        (ahead_of(items()), OSError, [0, 1, 2, 3, 4]),
        (ahead_of(ahead_of(items(), work)), ZeroDivisionError, [4, 6, 12]),
    ):
        seen = []
        with pytest.raises(error):
            for number in results:
                seen.append(number)
        assert seen == expected


def test_closing_ends_all_stages_and_their_threads():
    before = threading.active_count()
    inner = (number for number in itertools.count())
    outer = ahead_of(ahead_of(inner))
    assert next(outer) == 0
    outer.close()
    assert list(inner) == [] and threading.active_count() == before


def test_ctrl_c_does_not_wait_for_a_stage_that_waits():
    stop, slow = threading.Event(), threading.Event()

    def waits():
        yield 0
        while not stop.is_set():  # as `latest_frames` does
            slow.wait(0.01)

    outer = ahead_of(ahead_of(waits(), stop=stop), stop=stop)
    assert next(outer) == 0
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        outer.throw(KeyboardInterrupt)
    assert time.monotonic() - started < PATIENCE_S
