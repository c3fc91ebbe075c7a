"""Windows: whether one opens, and which keys end the looking."""

import cv2
import numpy as np
import pytest

from yolov3.inference.window import can_open_window, open_window

IMAGE = np.full((4, 5, 3), (200, 100, 0), np.uint8)


@pytest.mark.parametrize("display", ["", ":77"])
def test_no_window_without_a_screen_that_answers(monkeypatch, display):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", display)
    assert not can_open_window()


@pytest.fixture
def press(monkeypatch):
    """Return a function that sets the keys which windows report, and a list of what they show."""
    shown = []
    monkeypatch.setattr(cv2, "imshow", lambda _title, image: shown.append(image[0, 0].tolist()))

    def keys(*values, is_open=True):
        left = iter(values)
        monkeypatch.setattr(cv2, "waitKey", lambda _milliseconds: next(left))
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: float(is_open))
        return shown

    return keys


@pytest.mark.parametrize(
    ("key", "goes_on"), [(ord(" "), True), (13, True), (ord("q"), False), (27, False)]
)
def test_an_image_waits_for_a_key(press, key, goes_on):
    shown = press(-1, -1, key)
    assert open_window(IMAGE, "a") is goes_on
    assert shown == [[0, 100, 200]]  # BGR


@pytest.mark.parametrize(("key", "goes_on"), [(-1, True), (ord("x"), True), (ord("q"), False)])
def test_a_frame_does_not_wait(press, key, goes_on):
    press(key)
    assert open_window(IMAGE, "a", wait=False) is goes_on


@pytest.mark.parametrize("wait", [True, False])
def test_a_closed_window_ends_the_looking(press, wait):
    press(-1, is_open=False)
    assert open_window(IMAGE, "a", wait) is False
