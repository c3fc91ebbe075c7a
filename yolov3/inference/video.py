"""Videos, streams and cameras by OpenCV: open them for reading, and write video files."""

import os
from pathlib import Path

import cv2
import numpy as np

from yolov3.files import short_name
from yolov3.inference.sources import Kind, Source

COMMON_FPS = (30, 50, 60)  # of files whose sources have a variable rate
SAMPLE = 100  # frames of a video, by whose times its rate is judged
ON_TIME = 0.1  # of the time between two frames, by which one may miss its place
LONGEST_PAUSE = 600.0  # seconds between two frames; longer ones are nonsense, or a day of no camera
LONGEST_END = 10.0  # seconds for which the last frame stays
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


def saved_rate(source: Source, fps: float, is_live: bool) -> float:
    """Return the frames per second of a file that is to hold a video, of which `fps` is told.

    That of a constant rate stays, though frames may be missing. Of a variable one the average is
    told, or any other number: it gets a common rate at which its first frames have places.
    """
    if source.kind is not Kind.VIDEO:
        return min(fps, COMMON_FPS[-1]) if is_live else fps
    capture, times = open_capture(source), []
    while len(times) < SAMPLE and capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    capture.release()
    places = (np.array(times) - times[0]) * fps if times else np.zeros(0)
    steps = np.diff(places)
    if not len(steps) or steps.min() <= 0 or _are_constant(places):
        return fps
    needed = max(fps if fps <= COMMON_FPS[-1] else 0.0, (1 - ON_TIME) * fps / steps.min())
    return next((rate for rate in COMMON_FPS if rate >= needed), COMMON_FPS[-1])


def _are_constant(places: np.ndarray) -> bool:
    """Tell whether frames lie on the places of a constant rate: each nearly, or all but some."""
    if np.abs(places - np.arange(len(places))).max() < 0.5:
        return True
    nearest = places.round()
    return np.abs(places - nearest).max() < ON_TIME and np.diff(nearest).min() == 1


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
        self.size_wh, self.fps, self.frames = size_hw[::-1], _writable_rate(fps), 0
        self._places_per_second = fps  # not rounded: else a long video would lose a frame
        self._shown_bgr: np.ndarray | None = None  # the last frame, which is not written yet
        self._seconds = self._clock = 0.0  # when it is shown: here, and by its source
        self._length = 0.0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fourcc = cv2.VideoWriter_fourcc(*codec)
        # As bytes here and below: a name that is not UTF-8 as text would end the process.
        file_name = os.fsencode(self.path.absolute())
        self._writer = cv2.VideoWriter(file_name, fourcc, self.fps, self.size_wh)
        if not self._writer.isOpened():
            raise OSError(f"{self.path}: cannot write a video of {size_hw[1]}x{size_hw[0]} pixels")

    def write(self, image_rgb: np.ndarray, seconds: float, length: float = 0.0) -> None:
        """Append a frame, uint8 (H, W, 3) RGB, resized should its source have changed its size.

        `seconds` is when it is shown, by the clock of its source. `length` is that of the source in
        seconds, if this is its last frame and that is known.
        """
        if self._shown_bgr is not None:
            step = seconds - self._clock
            is_sound = 0 < step <= LONGEST_PAUSE
            self._seconds += step if is_sound else 1 / self._places_per_second
            self._fill(self._seconds)
        self._clock, self._length = seconds, length
        if image_rgb.shape[1::-1] != self.size_wh:
            image_rgb = cv2.resize(image_rgb, self.size_wh, interpolation=cv2.INTER_AREA)
        self._shown_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)

    def _fill(self, seconds: float) -> None:
        """Repeat the last frame up to a time."""
        while self.frames < round(seconds * self._places_per_second):
            self._writer.write(self._shown_bgr)
            self.frames += 1

    def close(self) -> None:
        """Write the last frame and the index. Raises OSError if frames are missing then."""
        if self._shown_bgr is not None:
            shortest = (self.frames + 1) / self._places_per_second
            self._fill(max(shortest, min(self._length, self._seconds + LONGEST_END)))
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
