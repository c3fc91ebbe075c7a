"""Video files that are written: their speed, their size, live sources, full disks."""

import sys

import cv2
import numpy as np
import pytest
from full_disk import full_disk
from white_square_detector import dark_image, read_video

from yolov3.inference.sources import Kind, Source
from yolov3.inference.video import VideoFile, open_capture


@pytest.mark.parametrize(
    "fps", [0.5, 12.5, 24000 / 1001, 30000 / 1001, 60, 65.5351, 90.001, 239.837, 655.36, 999.9]
)
def test_frames_and_speed_come_back(tmp_path, fps):
    video = VideoFile(tmp_path / "new" / "a.b", (48, 64), fps)
    for index in range(8):
        video.write(dark_image(64, 48, (index, 8, index + 24, 40)))
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
    for _ in range(3):
        video.write(np.full((*size_hw, 3), 200, np.uint8))
    video.close()
    _, frames = read_video(tmp_path / f"x{suffix}")
    assert [frame.shape for frame in frames] == [(*size_hw, 3)] * 3


@pytest.mark.skipif(sys.platform == "darwin", reason="has no such names")
def test_a_name_that_is_not_utf_8(tmp_path):
    video = VideoFile(tmp_path / "x\udcff", (48, 64), 25)
    video.write(dark_image(64, 48))
    video.close()
    capture = open_capture(Source(Kind.VIDEO, str(video.path), video.path))
    assert video.path.is_file() and capture.read()[0]


def test_a_source_that_changes_its_size_fills_the_first_one(tmp_path):
    video = VideoFile(tmp_path / "x", (48, 64), 25)
    for size_wh in ((64, 48), (128, 96), (32, 24)):
        video.write(np.full((*size_wh[::-1], 3), 200, np.uint8))
    video.close()
    assert [frame.shape for frame in read_video(video.path)[1]] == [(48, 64, 3)] * 3


def test_frames_of_a_live_source_fill_their_time(tmp_path):
    video = VideoFile(tmp_path / "x", (48, 64), 10)
    for seconds, grey in ((0.0, 50), (0.31, 100), (0.35, 150), (1.0, 200)):
        video.write_at(seconds, np.full((48, 64, 3), grey, np.uint8))
    video.close()
    greys = [round(frame.mean() / 50) * 50 for frame in read_video(video.path)[1]]
    assert greys == [50, 100, 100, 100, 200, 200, 200, 200, 200, 200, 200]  # 1.0 s and a frame


def write_noise(path, size_hw):
    rng = np.random.default_rng(0)
    video = VideoFile(path, size_hw, 25)
    for _ in range(20):
        video.write(rng.integers(0, 256, (*size_hw, 3), np.uint8))
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
