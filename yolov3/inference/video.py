"""Videos, streams and cameras by OpenCV: open them for reading, and write video files."""

import os
from pathlib import Path

import cv2
import numpy as np

from yolov3.files import short_name
from yolov3.inference.sources import Kind, Source

DEFAULT_FPS = 25.0  # of a source that does not tell, or tells nonsense
FPS_RANGE = (0.01, 1000.0)  # outside of it is nonsense
TIMEOUT_MS = 10_000  # of a server that does not answer
STREAM_TIMEOUTS = (
    *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS),
    *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS),
)
MPEG4_SIDES = range(2, 8192)  # pixels that the codec takes
MPEG4_RATE = 65535  # the largest numerator and denominator of a frame rate in it


def quiet_opencv() -> None:
    """Keep OpenCV and FFmpeg from writing to standard error about broken files; errors are ours.

    To be called before the first video is opened.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def open_capture(source: Source) -> cv2.VideoCapture:
    """Open a video, a stream or a camera; `isOpened` tells whether that worked.

    OpenCV gets names as bytes: text that is not UTF-8 would end the process.
    """
    if source.kind is Kind.CAMERA:
        return cv2.VideoCapture(int(source.address))
    if source.kind is Kind.STREAM:
        return cv2.VideoCapture(os.fsencode(source.address), cv2.CAP_FFMPEG, STREAM_TIMEOUTS)
    # Absolute, for FFmpeg would take the start of "12:30.mp4" for a protocol.
    return cv2.VideoCapture(os.fsencode(os.path.abspath(source.address)))


def stated_frames(capture: cv2.VideoCapture) -> int:
    """Return how many frames a capture should have; 0 where it does not tell, as a live one."""
    return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))


def frame_rate(capture: cv2.VideoCapture) -> float:
    """Return the frames per second of a capture, or a usual number where it tells none."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if FPS_RANGE[0] <= fps <= FPS_RANGE[1] else DEFAULT_FPS


class VideoFile:
    """A video that is being written; `close` must be called, which writes the index.

    It is MPEG-4 in .mp4, or Motion JPEG in .avi for sizes that MPEG-4 does not take; `path` has no
    extension. Raises OSError if the file cannot be written. `close` checks that, too, since OpenCV
    does not report a full disk.
    """

    def __init__(self, path: Path, size_hw: tuple[int, int], fps: float):
        fits = all(side in MPEG4_SIDES for side in size_hw)
        suffix, codec = (".mp4", "mp4v") if fits else (".avi", "MJPG")
        self.path = path.with_name(short_name(path.name, suffix))
        self.size_wh, self.fps, self.frames = size_hw[::-1], _writable_rate(fps), 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fourcc = cv2.VideoWriter_fourcc(*codec)
        # As bytes here and below: a name that is not UTF-8 as text would end the process.
        file_name = os.fsencode(self.path.absolute())
        self._writer = cv2.VideoWriter(file_name, fourcc, self.fps, self.size_wh)
        if not self._writer.isOpened():
            raise OSError(f"{self.path}: cannot write a video of {size_hw[1]}x{size_hw[0]} pixels")

    def write(self, image_rgb: np.ndarray) -> None:
        """Append a frame, uint8 (H, W, 3) RGB, resized should its source have changed its size."""
        if image_rgb.shape[1::-1] != self.size_wh:
            image_rgb = cv2.resize(image_rgb, self.size_wh, interpolation=cv2.INTER_AREA)
        self._writer.write(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
        self.frames += 1

    def write_at(self, seconds: float, image_rgb: np.ndarray) -> None:
        """Append a frame as often as it takes to fill the time up to `seconds` since the start.

        Frames of something live come at their own pace, and the file has a fixed one.
        """
        while self.frames <= seconds * self.fps:
            self.write(image_rgb)

    def close(self) -> None:
        """Write the rest. Raises OSError if frames are missing from the file then."""
        self._writer.release()
        if self.frames and not self._is_complete():
            raise OSError(f"{self.path}: the video is incomplete; is the disk full?")

    def _is_complete(self) -> bool:
        capture = cv2.VideoCapture(os.fsencode(self.path.absolute()))
        capture.set(cv2.CAP_PROP_POS_FRAMES, self.frames - 1)
        return stated_frames(capture) >= self.frames and capture.read()[0]


def _writable_rate(fps: float) -> float:
    """Round a frame rate to as many decimals as MPEG-4 takes: 23.976, 119.99, 1000.

    OpenCV makes it a fraction over a power of ten, which does not open if that is too large.
    """
    decimals = next((n for n in (3, 2) if fps * 10**n <= MPEG4_RATE), 0)
    return round(fps, decimals)
