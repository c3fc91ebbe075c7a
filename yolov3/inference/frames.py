"""Read sources frame by frame: an image is one frame, a video many, a camera has no end."""

import contextlib
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import cv2
import numpy as np

from yolov3.cli.progress import counted
from yolov3.images import ImageFileError, read_image, read_image_size
from yolov3.inference.sources import Kind, Source
from yolov3.inference.video import frame_rate, open_capture, stated_frames

LIVE_ATTEMPTS = 10  # to read a frame, before a live source counts as ended
MAX_DAMAGED = 1000  # frames in a row, after which a file counts as ended whatever it states
# Their headers state the number of frames; for others OpenCV estimates it from the duration.
COUNTED_SUFFIXES = frozenset({".avi", ".m4v", ".mov", ".mp4"})
POLL_SECONDS = 0.1  # between looks at whether to stop
LARGE_PIXELS = 32_000_000  # 96 MB in memory: of such images only one is held at a time
_large_image = threading.Lock()


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
            yield from read_video(source, capture)
        else:
            yield from latest_frames(read_live(source, capture), stop)


def read_video(source: Source, capture: cv2.VideoCapture) -> Generator[Frame, None, None]:
    """Yield the frames of a file, with an error for each damaged part and for a missing end.

    A damaged frame looks like the end of the file, so reading continues to the stated length.
    """
    stated = stated_frames(capture)

    def attempts(index):
        return 1 + max(0, min(stated - index, MAX_DAMAGED))

    def seconds():
        return max(0.0, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)

    count = yield from _read(source, capture, attempts, seconds)
    path = urlsplit(source.address).path if source.kind is Kind.STREAM else source.address
    if count == 0:
        yield Frame(source, error=f"{source.title}: no frame can be read", lost=max(1, stated))
    elif Path(path).suffix.lower() in COUNTED_SUFFIXES and stated > count:
        yield _lost_frames(source, count, stated - count)


def read_live(source: Source, capture: cv2.VideoCapture) -> Generator[Frame, None, None]:
    """Yield frames as they come, with an error for each gap, until too many reads fail in a row."""
    started = time.monotonic()
    count = yield from _read(
        source, capture, lambda _: LIVE_ATTEMPTS, lambda: time.monotonic() - started, is_live=True
    )
    if count == 0:
        yield Frame(source, error=f"{source.title}: no frame can be read", lost=1)


def _read(source, capture, attempts, seconds, is_live=False) -> Generator[Frame, None, int]:
    """Yield frames and errors until `attempts(index)` reads failed in a row; release the capture.

    Returns how many frames there were up to the last one that could be read.
    """
    fps, index, failed = frame_rate(capture), 0, 0
    try:
        while failed < attempts(index):
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
    return index


def _lost_frames(source, index, lost) -> Frame:
    error = f"{source.title}: {counted(lost, 'frame')} lost, from number {index} on"
    return Frame(source, index, error=error, lost=lost)


def latest_frames(frames: Generator[Frame, None, None], stop: threading.Event) -> Iterator[Frame]:
    """Yield the latest frame each time; older ones are dropped, errors among them are yielded.

    A thread takes the frames as they come. It is left behind, not waited for, when `stop` is set or
    this generator is closed: a dead camera may hold it for long. An error that `frames` raises is
    raised here.
    """
    waiting: list[Frame] = []
    arrived = threading.Condition()
    errors: list[BaseException] = []
    left = threading.Event()

    def follow():
        try:
            for frame in frames:
                with arrived:
                    if waiting and not waiting[-1].error:
                        waiting.pop()
                    waiting.append(frame)
                    arrived.notify()
                if left.is_set() or stop.is_set():
                    break
            frames.close()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        while not stop.is_set():
            with arrived:
                arrived.wait_for(lambda: waiting, POLL_SECONDS)
                ready, waiting[:] = waiting[:], []
            yield from ready
            if not ready and not thread.is_alive() and not waiting:
                break
        if errors:
            raise errors[0]
    finally:
        left.set()


def load(frame: Frame) -> Frame:
    """Read the pixels of an image's frame, if they are not there; return any other as it is."""
    if frame.source.kind is not Kind.IMAGE or frame.image_rgb is not None or frame.error:
        return frame
    try:
        return frame.with_image(read_image(frame.source.address))
    except (ValueError, MemoryError) as error:
        return frame._replace(error=str(error) or f"{frame.source.address}: out of memory", lost=1)


@contextlib.contextmanager
def large_image_slot(frame: Frame):
    """Wait until no other large image is held, if this is one; yield whether it is.

    Many threads each with an image of 20,000 x 20,000 pixels would fill any memory.
    """
    if not _is_large(frame):
        yield False
        return
    with _large_image:
        yield True


def count_frames(sources: Iterable[Source]) -> int | None:
    """Return how many frames there are, as far as headers tell, or None where one has no end."""
    total = 0
    for source in sources:
        if source.kind in (Kind.CAMERA, Kind.STREAM):
            return None
        if source.kind is Kind.VIDEO:
            capture = open_capture(source)
            total += max(1, stated_frames(capture))
            capture.release()
        else:
            total += 1
    return total


def _is_large(frame) -> bool:
    if frame.source.kind is not Kind.IMAGE or frame.error:
        return False
    try:
        width, height = (
            frame.size_hw if any(frame.size_hw) else read_image_size(frame.source.address)
        )
    except ImageFileError:
        return False
    return width * height > LARGE_PIXELS
