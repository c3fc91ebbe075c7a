"""Read videos, streams and cameras with OpenCV, and notice the frames that it cannot read."""

import os
import time
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import cv2

from yolov3.inference.frame import Frame
from yolov3.inference.sources import Kind, Source

DEFAULT_FPS = 25.0  # of a source that does not tell, or tells nonsense
FPS_RANGE = (0.01, 1000.0)  # outside of it is nonsense
LIVE_ATTEMPTS = 10  # to read a frame, before a live source counts as ended
MAX_DAMAGED = 1000  # frames in a row, after which a file counts as ended whatever it states
TIMEOUT_MS = 10_000  # of a server that does not answer
STREAM_TIMEOUTS = (
    *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS),
    *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS),
)
# Of these a file's header has the number of frames; of others OpenCV estimates it from the time.
COUNTED_SUFFIXES = frozenset({".avi", ".m4v", ".mov", ".mp4"})


def quiet_opencv() -> None:
    """Keep OpenCV and FFmpeg from writing of broken files to standard error; errors are ours.

    To be called before the first video is opened.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def open_capture(source: Source) -> cv2.VideoCapture:
    """Open a video, a stream or a camera; `isOpened` tells whether that went well.

    OpenCV gets names as bytes, for text that is not UTF-8 makes it end the process.
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


def read_file(source: Source, capture: cv2.VideoCapture) -> Generator[Frame, None, None]:
    """Yield the frames of a file, with an error for each damaged part and for a missing end.

    A damaged frame looks like the end of the file, so reading goes on up to the stated length.
    """
    fps, stated = _fps_of(capture), stated_frames(capture)
    index, failed = 0, 0  # failed: in a row
    while failed <= max(0, min(stated - index, MAX_DAMAGED)):
        is_read, image_bgr = capture.read()
        if not is_read:
            failed += 1
            continue
        if failed:
            yield _lost_frames(source, index, failed)
        index, failed = index + failed, 0
        seconds = max(0.0, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        yield Frame(source, index, seconds, fps).with_image(_to_rgb(image_bgr))
        index += 1
    is_stream = source.kind is Kind.STREAM
    path = urlsplit(source.address).path if is_stream else source.address
    is_counted = Path(path).suffix.lower() in COUNTED_SUFFIXES
    if index == 0:
        yield Frame(source, error=f"{source.title}: no frame can be read", lost=max(1, stated))
    elif is_counted and stated > index:
        yield _lost_frames(source, index, stated - index)


def read_live(source: Source, capture: cv2.VideoCapture) -> Generator[Frame, None, None]:
    """Yield frames as they come, with an error for each gap, until too many reads fail in a row."""
    fps, started = _fps_of(capture), time.monotonic()
    index, failed = 0, 0
    while failed < LIVE_ATTEMPTS:
        is_read, image_bgr = capture.read()
        if not is_read:
            failed += 1
            continue
        if failed:
            yield _lost_frames(source, index, failed)
        index, failed = index + failed, 0
        frame = Frame(source, index, time.monotonic() - started, fps, is_live=True)
        yield frame.with_image(_to_rgb(image_bgr))
        index += 1
    if index == 0:
        yield Frame(source, error=f"{source.title}: no frame can be read", lost=1)


def _lost_frames(source, index, lost) -> Frame:
    plural = "s" if lost > 1 else ""
    error = f"{source.title}: {lost} frame{plural} lost, from number {index} on"
    return Frame(source, index, error=error, lost=lost)


def _fps_of(capture) -> float:
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if FPS_RANGE[0] <= fps <= FPS_RANGE[1] else DEFAULT_FPS


def _to_rgb(image_bgr):
    return cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
