"""Videos, streams and cameras by OpenCV: open them for reading, and write video files."""

import os
from pathlib import Path

import cv2
import numpy as np

from yolov3.files import short_name
from yolov3.images import resize
from yolov3.inference.sources import Kind, Source

SAMPLE = 100  # frames of a video, by whose times its rate is judged
ENOUGH_FPS = 60  # of a saved video with a variable rate; what is closer is left out
LONGEST_PAUSE = 600.0  # seconds between two frames; longer ones are nonsense, or a day of no camera
DEFAULT_FPS = 25.0  # of a source that does not tell, or tells nonsense
FPS_RANGE = (0.01, 500.0)  # outside of it is nonsense, such as the rate of a clock
TIMEOUT_MS = 10_000  # of a server that does not answer
MPEG4_SIDES = range(2, 8192)  # pixels that the codec takes
MPEG4_RATE = 65535  # the largest numerator of a frame rate in it


def quiet_opencv() -> None:
    """Keep FFmpeg from writing to standard error about broken files, as `images` keeps OpenCV.

    To be called before the first video is opened.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET


def open_capture(source: Source) -> cv2.VideoCapture:
    """Open a video, a stream or a camera; `isOpened` tells whether that worked.

    OpenCV gets names as bytes: text that is not UTF-8 would end the process.
    """
    if source.kind is Kind.CAMERA:
        return cv2.VideoCapture(int(source.address))
    if source.kind is Kind.STREAM:
        limits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
        timeouts = [number for limit in limits for number in (limit, TIMEOUT_MS)]
        return cv2.VideoCapture(os.fsencode(source.address), cv2.CAP_FFMPEG, timeouts)
    # Absolute, for FFmpeg would take the start of "12:30.mp4" for a protocol.
    return cv2.VideoCapture(os.fsencode(os.path.abspath(source.address)))


def stated_frames(capture: cv2.VideoCapture) -> int:
    """Return how many frames a capture should have; 0 where it does not tell, as a live one."""
    return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))


def frame_rate(capture: cv2.VideoCapture) -> float:
    """Return the frames per second of a capture, or a usual number where it tells none."""
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if FPS_RANGE[0] <= fps <= FPS_RANGE[1] else DEFAULT_FPS


def saved_rate(source: Source, fps: float) -> float:
    """Return the frames per second of a file that is to hold a source, of which `fps` is told.

    What a video of a variable rate tells may be its average or any other number. Its file gets the
    rate at which each of its first frames has a place of its own. A video of a constant rate, some
    of whose frames may be missing, keeps that.
    """
    if source.kind is not Kind.VIDEO:
        return min(fps, ENOUGH_FPS)
    capture, times = open_capture(source), []
    while len(times) < SAMPLE and capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    places = (np.array(times) - times[0]) * fps if times else np.zeros(0)
    closest = np.diff(places).min(initial=np.inf)
    is_regular = np.abs(places - np.arange(len(places))).max(initial=0) < 0.5
    if is_regular or closest <= 0 or closest > 0.9:
        return fps
    return min(fps / closest, ENOUGH_FPS)


class VideoFile:
    """A video that is being written; `close` must be called, which writes the index.

    Its rate is fixed, so a frame is repeated until the next one is shown, and one that is followed
    too soon is left out.

    It is MPEG-4 in .mp4, or Motion JPEG in .avi for sizes that MPEG-4 does not take; `path` has no
    extension. Raises OSError if the file cannot be written. `close` checks that, too, since OpenCV
    does not report a full disk.
    """

    def __init__(self, path: Path, size_hw: tuple[int, int], fps: float):
        fits = all(side in MPEG4_SIDES for side in size_hw)
        suffix, codec = (".mp4", "mp4v") if fits else (".avi", "MJPG")
        self.path = path.with_name(short_name(path.name, suffix))
        self.size_wh, self.fps, self.frames = size_hw[::-1], fps, 0
        self._shown_bgr: np.ndarray | None = None  # the last frame, which is not written yet
        self._seconds = self._clock = 0.0  # when it is shown: here, and by its source
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # As bytes here and below: a name that is not UTF-8 as text would end the process.
        file_name = os.fsencode(self.path.absolute())
        # Rounded, as MPEG-4 has a bound for the parts of the fraction that OpenCV makes of it.
        rate = round(fps, 3 if fps < MPEG4_RATE / 1000 else 2)
        fourcc = cv2.VideoWriter_fourcc(*codec)
        self._writer = cv2.VideoWriter(file_name, fourcc, rate, self.size_wh)
        if not self._writer.isOpened():
            raise OSError(f"{self.path}: cannot write a video of {size_hw[1]}x{size_hw[0]} pixels")

    def write(self, image_rgb: np.ndarray, seconds: float) -> None:
        """Append a frame, uint8 (H, W, 3) RGB, resized should its source have changed its size.

        `seconds` is when it is shown, by the clock of its source.
        """
        if self._shown_bgr is not None:
            step = seconds - self._clock
            self._seconds += step if 0 < step <= LONGEST_PAUSE else 1 / self.fps
            self._fill(round(self._seconds * self.fps))
        self._clock = seconds
        self._shown_bgr = cv2.cvtColor(resize(image_rgb, self.size_wh), cv2.COLOR_RGB2BGR)

    def _fill(self, frames: int) -> None:
        """Repeat the last frame until there are so many."""
        for _ in range(self.frames, frames):
            self._writer.write(self._shown_bgr)
            self.frames += 1

    def close(self) -> None:
        """Write the last frame and the index. Raises OSError if frames are missing then."""
        if self._shown_bgr is not None:
            self._fill(self.frames + 1)
        self._writer.release()
        capture = cv2.VideoCapture(os.fsencode(self.path.absolute()))
        capture.set(cv2.CAP_PROP_POS_FRAMES, self.frames - 1)
        if self.frames and not (stated_frames(capture) >= self.frames and capture.read()[0]):
            raise OSError(f"{self.path}: the video is incomplete; is the disk full?")
