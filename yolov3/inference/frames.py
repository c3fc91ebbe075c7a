"""Read sources frame by frame: an image is one frame, a video many, a camera has no end."""

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import cv2
import numpy as np

from yolov3.cli.progress import counted
from yolov3.images import read_image
from yolov3.inference.sources import Kind, Source
from yolov3.inference.video import frame_rate, open_capture, stated_frames

LIVE_ATTEMPTS = 10  # to read a frame, before a live source counts as ended
MAX_DAMAGED = 1000  # frames in a row, after which a file counts as ended whatever it states
# Their headers state the number of frames; for others OpenCV estimates it from the duration.
COUNTED_SUFFIXES = frozenset({".avi", ".m4v", ".mov", ".mp4"})
POLL_SECONDS = 0.1  # between looks at whether to stop


class Frame(NamedTuple):
    """A frame of a source, or why there is none."""

    source: Source
    index: int = 0  # in the video
    seconds: float = 0.0  # since its start
    fps: float = 0.0  # of the video
    is_live: bool = False
    image_rgb: np.ndarray | None = None  # (H, W, 3) uint8; not held where it is not needed
    size_hw: tuple[int, int] = (0, 0)  # pixels
    error: str = ""  # why there is no image
    lost: int = 0  # how many frames the error stands for

    def with_image(self, image_rgb: np.ndarray) -> "Frame":
        return self._replace(image_rgb=image_rgb, size_hw=image_rgb.shape[:2])


def read_frames(sources: Iterable[Source], stop: threading.Event) -> Generator[Frame, None, None]:
    """Yield the frames of all sources in order; images come without pixels, which `load` reads.

    A live source gives its latest frame each time. When `stop` is set, nobody waits for its next.
    """
    for source in sources:
        if source.kind is Kind.IMAGE:
            yield Frame(source)
            continue
        capture = open_capture(source)
        if not capture.isOpened():
            error = f"{source.title}: this {source.kind.value} does not open"
            yield Frame(source, error=error, lost=1)
        elif source.kind is Kind.VIDEO or (source.kind is Kind.STREAM and stated_frames(capture)):
            yield from read_capture(source, capture)
        else:
            yield from latest_frames(read_capture(source, capture, is_live=True), stop)


def read_capture(
    source: Source, capture: cv2.VideoCapture, is_live: bool = False
) -> Generator[Frame, None, None]:
    """Yield the frames of a video or camera, with an error for each gap and for a missing end.

    A damaged frame looks like the end of a file, so reading continues to the stated length. What is
    live has ended when too many reads fail in a row; its clock starts with the first one.
    """
    stated, fps, started = stated_frames(capture), frame_rate(capture), time.monotonic()
    index, failed = 0, 0

    def attempts():
        return LIVE_ATTEMPTS if is_live else 1 + min(max(0, stated - index), MAX_DAMAGED)

    def seconds():
        if is_live:
            return time.monotonic() - started
        return max(0.0, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)

    try:
        while failed < attempts():
            is_read, image_bgr = capture.read()
            if not is_read:
                failed += 1
                continue
            if failed:
                yield _lost_frames(source, index, failed)
            index, failed = index + failed, 0
            image_rgb = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
            yield Frame(source, index, seconds(), fps, is_live).with_image(image_rgb)
            index += 1
    finally:
        capture.release()
    path = urlsplit(source.address).path if source.kind is Kind.STREAM else source.address
    if index == 0:
        yield Frame(source, error=f"{source.title}: no frame can be read", lost=max(1, stated))
    elif Path(path).suffix.lower() in COUNTED_SUFFIXES and stated > index:
        yield _lost_frames(source, index, stated - index)


def _lost_frames(source, index, lost) -> Frame:
    error = f"{source.title}: {counted(lost, 'frame')} lost, from number {index} on"
    return Frame(source, index, error=error, lost=lost)


def latest_frames(frames: Generator[Frame, None, None], stop: threading.Event) -> Iterator[Frame]:
    """Yield the latest frame each time; older ones are dropped, errors among them are yielded.

    A thread takes the frames as they come. It is left behind, not waited for, when `stop` is set: a
    dead camera may hold it for long. An error that `frames` raises is raised here.
    """
    waiting: list[Frame] = []
    arrived = threading.Condition()
    errors: list[BaseException] = []

    def follow():
        try:
            for frame in frames:
                with arrived:
                    if waiting and not waiting[-1].error:
                        waiting.pop()
                    waiting.append(frame)
                    arrived.notify()
                if stop.is_set():
                    break
            frames.close()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    while not stop.is_set():
        with arrived:
            arrived.wait_for(lambda: waiting, POLL_SECONDS)
            ready, waiting[:] = waiting[:], []
        yield from ready
        if not ready and not thread.is_alive() and not waiting:
            break
    if errors:
        raise errors[0]


def load(frame: Frame) -> Frame:
    """Read the pixels of an image's frame, if they are not there; return any other as it is."""
    if frame.source.kind is not Kind.IMAGE or frame.image_rgb is not None or frame.error:
        return frame
    try:
        return frame.with_image(read_image(frame.source.address))
    except (ValueError, MemoryError) as error:
        return frame._replace(error=str(error) or f"{frame.source.address}: out of memory", lost=1)


def count_frames(sources: list[Source]) -> int | None:
    """Return how many frames there are, as far as headers tell, or None where one has no end."""
    if any(source.kind in (Kind.CAMERA, Kind.STREAM) for source in sources):
        return None
    videos = [source for source in sources if source.kind is Kind.VIDEO]
    frames = sum(max(1, stated_frames(open_capture(video))) for video in videos)
    return len(sources) - len(videos) + frames
