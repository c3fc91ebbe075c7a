"""Reading sources frame by frame: videos, damaged ones, streams, cameras, large images."""

import re
import threading
import time
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from white_square_detector import (
    FPS,
    VIDEO_HW,
    FakeCamera,
    damage_frame,
    dark_image,
    frame_start,
    white_in_frame,
    write_video,
)

from yolov3.images import write_image
from yolov3.inference import frames
from yolov3.inference.frames import (
    Frame,
    count_frames,
    follow,
    latest_frames,
    load,
    read_capture,
    read_frames,
)
from yolov3.inference.sources import Kind, Source, find_sources
from yolov3.inference.video import DEFAULT_FPS, quiet_opencv

CAMERA = Source(Kind.CAMERA, "0", Path("camera-0"))


@pytest.fixture(autouse=True)
def quiet():
    quiet_opencv()


def read(*words):
    return list(read_frames(find_sources(map(str, words)), threading.Event()))


def test_a_video_gives_its_frames_in_rgb(tmp_path):
    path = write_video(tmp_path / "a b.avi", frames=5)
    got = read(path)
    assert [frame.index for frame in got] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([frame.seconds for frame in got], np.arange(5) / FPS, atol=0.002)
    for frame in got:
        left, top, right, bottom = white_in_frame(frame.index)
        assert frame.size_hw == VIDEO_HW and frame.fps == FPS and not frame.error
        assert frame.image_rgb[top + 2 : bottom - 2, left + 2 : right - 2].min() > 200
        assert frame.image_rgb[top + 2 : bottom - 2, right + 8 :].max() < 60


def test_colours_of_a_video_are_not_swapped(tmp_path):
    writer = cv2.VideoWriter(
        str(tmp_path / "red.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 32)
    )
    writer.write(np.full((32, 32, 3), (0, 0, 255), np.uint8))  # BGR
    writer.release()
    [frame] = read(tmp_path / "red.avi")
    red, green, blue = frame.image_rgb[16, 16]
    assert red > 200 and green < 50 and blue < 50


def numbers(frames):
    """Return the index of each frame, and how many an error stands for."""
    return [(frame.index, frame.lost) for frame in frames]


def good(*indices):
    return [(index, 0) for index in indices]


@pytest.mark.parametrize(
    ("damaged", "expected", "where"),
    [
        ([3, 4], [*good(0, 1, 2), (3, 2), *good(5, 6, 7, 8, 9)], "2 frames lost, from number 3 on"),
        ([0], [(0, 1), *good(*range(1, 10))], "1 frame lost, from number 0 on"),
        ([9], [*good(*range(9)), (9, 1)], "1 frame lost, from number 9 on"),
    ],
)
def test_damaged_frames_are_told_and_the_others_keep_their_numbers(
    tmp_path, damaged, expected, where
):
    path = write_video(tmp_path / "x.avi")
    for index in damaged:
        damage_frame(path, index)
    frames = read(path)
    assert numbers(frames) == expected
    assert [frame.error for frame in frames if frame.lost] == [f"{path}: {where}"]


@pytest.mark.parametrize("name", ["x.avi", "x #2?.avi"])
def test_a_video_that_was_cut_off_tells_how_much_is_missing(tmp_path, name):
    path = write_video(tmp_path / name)
    data = path.read_bytes()
    path.write_bytes(data[: frame_start(data, 6) + 20])
    got = read(path)
    assert numbers(got) == [*good(0, 1, 2, 3, 4, 5), (6, 4)]
    assert got[-1].error == f"{path}: 4 frames lost, from number 6 on"


def test_a_length_that_is_not_stated_is_no_loss(tmp_path, monkeypatch):
    path = write_video(tmp_path / "x.avi", frames=4)
    for stated in (0, 9):  # not told; guessed, in a container that does not count
        monkeypatch.setattr(frames, "stated_frames", lambda _, stated=stated: stated)
        monkeypatch.setattr(frames, "COUNTED_SUFFIXES", frozenset())
        assert numbers(read(path)) == good(0, 1, 2, 3)


@pytest.mark.parametrize("word", ["x.mp4", "x.avi", "97"])
def test_what_does_not_open_is_one_error(tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    for name in ("x.mp4", "x.avi"):
        (tmp_path / name).write_bytes(b"no video" * 200)
    [frame] = read(word)
    title = "camera 97: this camera" if word == "97" else f"{word}: this video"
    assert frame.error == f"{title} does not open" and frame.lost == 1


@pytest.mark.parametrize("suffix", ["avi", "mkv"])  # states the number of frames; its duration
def test_a_file_over_http_that_breaks_off_is_read_on(tmp_path, serve, suffix):
    content = write_video(tmp_path / f"x.{suffix}", frames=60).read_bytes()
    site = serve(content[: len(content) // 2], announced=len(content))
    url = f"{site.url}.{suffix}"
    *got, end = read(url)
    assert 10 < len(got) < 50 and "broke off" in end.error and end.is_end
    assert end.lost == 60 - len(got)
    [source] = find_sources([url])
    assert source.kind is Kind.STREAM and not any(frame.is_live for frame in got)
    again = follow(source, Pauses(), reconnect=1)
    assert [frame.index for frame in islice(again, len(got) + 1)] == [*range(len(got) + 1)]
    site.content = content
    assert [frame.index for frame in again] == [*range(len(got), 60)]


def plug_in(monkeypatch, *cameras):
    opened = map(FakeCamera, cameras)
    monkeypatch.setattr(frames, "open_capture", lambda _: next(opened))


def test_a_live_source_tells_of_gaps_and_that_it_broke_off(monkeypatch):
    plug_in(monkeypatch, [1, 2, None, None, 3] + [None] * 50)
    *got, end = read_capture(CAMERA)
    assert numbers(got) == [(0, 0), (1, 0), (2, 2), (4, 0)]
    assert "2 frames lost" in got[2].error
    assert all(frame.is_live and frame.fps == DEFAULT_FPS for frame in got if not frame.lost)
    assert (np.diff([frame.seconds for frame in got if not frame.lost]) >= 0).all()
    assert re.fullmatch(r"camera 0: broke off at \d\d:\d\d:\d\d after 5 frames", end.error)
    assert end.is_end and not end.lost


class Pauses(threading.Event):
    """Stand in for the event that ends the reading: note the pauses, and let none pass."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def wait(self, timeout=None):
        self.seconds.append(timeout)


def test_a_source_that_breaks_off_is_opened_again_some_times_in_a_row(monkeypatch):
    plug_in(monkeypatch, [1, 2], [], [3], [], [], [], [], [], [])
    pauses = Pauses()
    got = list(follow(CAMERA, pauses, reconnect=6))
    assert [frame.index for frame in got if not frame.error] == [0, 1, 2]  # numbers go on
    assert pauses.seconds == [1, 2, 1, 2, 4, 8, 16, 30]
    tries = [frame.error.rpartition("; ")[2] for frame in got if frame.error]
    assert tries[:3] == ["try 1 of 6 in 1 s", "try 2 of 6 in 2 s", "try 1 of 6 in 1 s"]
    assert tries[-2] == "try 6 of 6 in 30 s" and "after 3 frames" in tries[-1]
    assert [frame.is_end for frame in got] == [False] * (len(got) - 1) + [True]


def test_a_pause_between_tries_can_be_left(monkeypatch):
    plug_in(monkeypatch, [])
    stop = threading.Event()
    stream = follow(CAMERA, stop, reconnect=9)
    assert "try 1 of 9" in next(stream).error
    stop.set()
    assert list(stream) == []


def test_images_come_without_pixels_until_they_are_loaded(tmp_path):
    write_image(tmp_path / "a.png", dark_image(30, 20, (1, 2, 3, 4)))
    (tmp_path / "bad.png").write_bytes(b"no image")
    good, bad = read(tmp_path)
    assert good.image_rgb is None
    loaded, failed = load(good), load(bad)
    assert loaded.size_hw == (20, 30) and loaded.image_rgb[3, 2].tolist() == [255] * 3
    assert str(tmp_path / "bad.png") in failed.error and failed.lost == 1
    assert load(loaded) is loaded and load(failed) is failed


def test_frames_are_counted_where_there_is_an_end(tmp_path):
    write_image(tmp_path / "a.png", dark_image(3, 2))
    write_video(tmp_path / "x.avi", frames=7)
    (tmp_path / "broken.mp4").touch()
    assert count_frames(find_sources([str(tmp_path)])) == 1 + 7 + 1
    assert count_frames(find_sources([str(tmp_path), "http://127.0.0.1:9/live"])) is None


def live(index, error=""):
    return Frame(CAMERA, index, is_live=True, error=error)


def test_what_came_while_nobody_asked_is_dropped_but_for_errors():
    go_on, done = threading.Event(), threading.Event()

    def camera():
        yield live(1)
        go_on.wait(10)
        yield from (live(2), live(3, "lost"), live(4), live(5))
        done.set()

    results = latest_frames(camera(), threading.Event())
    assert next(results).index == 1
    go_on.set()
    assert done.wait(10)
    assert [frame.index for frame in results] == [3, 5]


def test_an_error_is_raised_after_what_came_before():
    def camera():
        yield live(1)
        raise OSError("unplugged")

    results = latest_frames(camera(), threading.Event())
    assert next(results).index == 1
    with pytest.raises(OSError, match="unplugged"):
        next(results)


def test_stop_ends_it_though_the_camera_is_stuck():
    stop, stuck = threading.Event(), threading.Event()

    def camera():
        yield live(1)
        stuck.wait(20)

    results = latest_frames(camera(), stop)
    assert next(results).index == 1
    stop.set()
    started = time.monotonic()
    assert list(results) == []
    assert time.monotonic() - started < 5
    stuck.set()
