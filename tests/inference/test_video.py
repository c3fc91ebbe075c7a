"""Video files that are written: their speed, their size, live sources, full disks."""

import sys
import threading

import cv2
import numpy as np
import pytest
from full_disk import full_disk
from timed_video import write_timed_video
from white_square_detector import dark_image, read_video

from yolov3.inference.frames import read_frames
from yolov3.inference.sources import Kind, Source, find_sources
from yolov3.inference.video import VideoFile, open_capture, saved_rate

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "fps", [0.5, 12.5, 24000 / 1001, 30000 / 1001, 60, 65.5351, 90.001, 239.837]
)
def test_frames_and_speed_come_back(tmp_path, fps):
    video = VideoFile(tmp_path / "new" / "a.b", (48, 64), fps)
    for index in range(8):
        video.write(dark_image(64, 48, (index, 8, index + 24, 40)), index / fps)
    video.close()
    assert video.path == tmp_path / "new" / "a.b.mp4"
    read_fps, frames = read_video(video.path)
    assert read_fps == pytest.approx(fps, rel=6e-4) and len(frames) == 8
    assert frames[7][20, 15].min() > 200 and frames[7][20, 50].max() < 60


@pytest.mark.parametrize(
    ("size_hw", "suffix"), [((1, 1), ".avi"), ((20, 9000), ".avi"), ((2, 2), ".mp4")]
)
def test_sizes_that_mpeg4_does_not_take_become_motion_jpeg(tmp_path, size_hw, suffix):
    video = VideoFile(tmp_path / "x", size_hw, 25)
    for index in range(3):
        video.write(np.full((*size_hw, 3), 200, np.uint8), index / 25)
    video.close()
    _, frames = read_video(tmp_path / f"x{suffix}")
    assert [frame.shape for frame in frames] == [(*size_hw, 3)] * 3


@pytest.mark.skipif(sys.platform == "darwin", reason="has no such names")
def test_a_name_that_is_not_utf_8(tmp_path):
    video = VideoFile(tmp_path / "x\udcff", (48, 64), 25)
    video.write(dark_image(64, 48), 0.0)
    video.close()
    capture = open_capture(Source(Kind.VIDEO, str(video.path), video.path))
    assert video.path.is_file() and capture.read()[0]


def test_a_source_that_changes_its_size_fills_the_first_one(tmp_path):
    video = VideoFile(tmp_path / "x", (48, 64), 25)
    for index, size_wh in enumerate([(64, 48), (128, 96), (32, 24)]):
        video.write(np.full((*size_wh[::-1], 3), 200, np.uint8), index / 25)
    video.close()
    assert [frame.shape for frame in read_video(video.path)[1]] == [(48, 64, 3)] * 3


def greys_of(path):
    return [round(frame.mean() / 50) * 50 for frame in read_video(path)[1]]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([7.0, 7.31, 7.36, 8.0], [50] * 3 + [100] + [150] * 6 + [200]),  # from the first on
        ([0.0, 0.1, 0.11, 0.2], [50, 150, 200]),  # two in one place
        ([0.0, 0.0, 0.0, 0.0], [50, 100, 150, 200]),  # times that are none
        ([5.0, 5.1, 0.0, 1e9], [50, 100, 150, 200]),
        ([float("nan")] * 4, [50, 100, 150, 200]),
    ],
)
def test_each_frame_is_shown_from_its_time_on(tmp_path, times, expected):
    video = VideoFile(tmp_path / "x", (48, 64), 10)
    for index, seconds in enumerate(times):
        video.write(np.full((48, 64, 3), 50 * (index + 1), np.uint8), seconds)
    video.close()
    assert greys_of(video.path) == expected


@pytest.mark.parametrize(
    ("steps", "rate"),  # seconds between frames
    [
        pytest.param([1 / 30] * 40, 30, id="constant"),
        pytest.param(1 / 30 + RNG.uniform(-0.008, 0.008, 40), 39.4, id="phone"),
        pytest.param([0.2] * 20 + [1 / 30] * 20, 30, id="slow then fast"),
        pytest.param([0.02, 0.02, 0.9, 0.1] * 10, 50, id="screen recording"),
        pytest.param(RNG.uniform(0.01, 0.3, 40), 39.9, id="irregular"),
    ],
)
def test_a_variable_rate_keeps_its_times(tmp_path, steps, rate):
    path = tmp_path / "x.mp4"
    greys = 20 + 30 * (np.arange(40) % 8)
    write_timed_video(path, greys, steps)
    [source] = find_sources([str(path)])
    frames = list(read_frames([source], threading.Event()))
    assert saved_rate(source, frames[0].fps) == pytest.approx(rate, rel=0.01)
    video = VideoFile(tmp_path / "out", (48, 64), saved_rate(source, frames[0].fps))
    for frame in frames:
        video.write(frame.image_rgb, frame.seconds)
    video.close()
    fps, saved = read_video(video.path)
    assert len(saved) / fps == pytest.approx(sum(steps[:-1]), abs=2 / fps)
    starts = np.cumsum([0, *steps[:-1]])
    for index, image in enumerate(saved):  # shows what its source shows, half a place off at most
        times = (index + np.array([-0.51, 0.51])) / fps
        first, last = np.searchsorted(starts, times, "right") - 1
        assert np.abs(image.mean() - greys[max(first, 0) : last + 1]).min() < 12


def test_frames_that_are_missing_leave_a_constant_rate(tmp_path):
    for step in (1 / 25, 1 / 120):
        write_timed_video(tmp_path / "x.mp4", [50] * 9, [step] * 4 + [3 * step] + [step] * 4)
        [source] = find_sources([str(tmp_path / "x.mp4")])
        assert saved_rate(source, 1 / step) == pytest.approx(1 / step)


def test_a_video_that_was_filmed_upright_stays_upright(tmp_path):
    write_timed_video(tmp_path / "x.mp4", [50] * 3, [0.1] * 3, rotate=True)
    frame = next(read_frames(find_sources([str(tmp_path / "x.mp4")]), threading.Event()))
    assert frame.size_hw == (64, 48)


def write_noise(path, size_hw):
    rng = np.random.default_rng(0)
    video = VideoFile(path, size_hw, 25)
    for index in range(20):
        video.write(rng.integers(0, 256, (*size_hw, 3), np.uint8), index / 25)
    video.close()
    return video.path


@pytest.mark.parametrize("size_hw", [(48, 64), (4, 9000)], ids=["mp4", "avi"])
@pytest.mark.parametrize("fraction", [0.1, 0.9, 0.99])
def test_a_full_disk_is_an_os_error(tmp_path, size_hw, fraction):
    complete = write_noise(tmp_path / "complete", size_hw)
    message = "x.(mp4|avi): the video is incomplete; is the disk full"
    with full_disk(int(complete.stat().st_size * fraction)), pytest.raises(OSError, match=message):
        write_noise(tmp_path / "x", size_hw)


def test_a_video_without_frames_is_closed_without_an_error(tmp_path):
    VideoFile(tmp_path / "x", (48, 64), 25).close()


def test_a_place_that_cannot_be_written_is_an_os_error(tmp_path):
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    (tmp_path / "x.mp4").mkdir()
    with pytest.raises(OSError, match="x.mp4: cannot write a video of 64x48 pixels"):
        VideoFile(tmp_path / "x", (48, 64), 10)
