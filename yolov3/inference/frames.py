"""Read sources frame by frame: an image is one frame, a video many, a camera has no end."""

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from yolov3.cli.run import LEFT_BEHIND
from yolov3.images import read_image
from yolov3.inference.sources import Kind, Source
from yolov3.inference.video import frame_rate, open_capture, stated_frames
from yolov3.text import counted

LIVE_DAMAGED = 10  # frames in a row that a camera may lose, before it counts as broken off
LONGEST_WAIT = 30  # seconds, before a source is opened again
MAX_DAMAGED = 1000  # frames in a row, after which a file counts as ended whatever it states
# Their headers state the number of frames; for others OpenCV estimates it from the duration.
COUNTED_SUFFIXES = frozenset({".avi", ".m4v", ".mov", ".mp4"})
MISSING_END = 1.0  # seconds by which a file of a server may end early: its sound may be longer
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
    lost: int = 0  # how many frames the error stands for; none where a live source broke off
    is_end: bool = False  # a stream or camera is given up with this error

    def with_image(self, image_rgb: np.ndarray) -> "Frame":
        return self._replace(image_rgb=image_rgb, size_hw=image_rgb.shape[:2])


def read_frames(
    sources: Iterable[Source], stop: threading.Event, reconnect: int = 0
) -> Generator[Frame, None, None]:
    """Yield the frames of all sources in order; images come without pixels, which `load` reads.

    A live source gives its latest frame each time. When `stop` is set, nobody waits for its next.
    A stream or camera that breaks off is opened again, up to `reconnect` times in a row.
    """
    for source in sources:
        if source.kind is Kind.IMAGE:
            yield Frame(source)
        elif source.kind is Kind.VIDEO:
            yield from read_capture(source)
        else:
            yield from latest_frames(follow(source, stop, reconnect), stop)


def follow(source: Source, stop: threading.Event, reconnect: int) -> Iterator[Frame]:
    """Yield the frames of a stream or camera, and an error each time it breaks off.

    The last of `reconnect` tries in a row that fails ends it. Pauses between them grow.
    """
    started, index, tries = time.monotonic(), 0, 0
    while not stop.is_set():
        for frame in read_capture(source, index, started):
            if frame.is_end and tries < reconnect:
                break
            if not frame.error:
                index, tries = frame.index + 1, 0
            yield frame
        else:
            return
        pause = min(2**tries, LONGEST_WAIT)
        tries += 1
        error = f"{frame.error}; try {tries} of {reconnect} in {pause} s"
        yield frame._replace(error=error, lost=0, is_end=False)
        stop.wait(pause)


def read_capture(source: Source, index: int = 0, started: float = 0.0) -> Iterator[Frame]:
    """Yield the frames of a video or camera, with an error for each gap and for a missing end.

    A damaged frame looks like the end of a file, so reading continues to the stated length. What is
    live has no length and has broken off when too many reads fail in a row; its clock started at
    `started`. `index` is the number of the first frame to yield; those before it were read already.
    """
    capture = open_capture(source)
    if not capture.isOpened():
        error = f"{source.title}: this {source.kind.value} does not open"
        yield Frame(source, index, error=error, lost=1, is_end=source.kind is not Kind.VIDEO)
        return
    stated, fps = stated_frames(capture), frame_rate(capture)
    is_live = source.kind is Kind.CAMERA or (source.kind is Kind.STREAM and not stated)
    failed, seconds = 0, 0.0
    for _ in range(0 if is_live else index):
        if not capture.grab():
            break

    def may_fail() -> int:
        """Return how many reads in a row may fail from here on."""
        return LIVE_DAMAGED if is_live else max(0, min(stated - index, MAX_DAMAGED))

    while failed <= may_fail():
        is_read, image_bgr = capture.read()
        if not is_read:
            failed += 1
            continue
        if failed:
            yield _lost_frames(source, index, failed)
        index, failed = index + failed, 0
        position = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 or index / fps  # not all files tell
        seconds = time.monotonic() - started if is_live else position
        image_rgb = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
        yield Frame(source, index, seconds, fps, is_live).with_image(image_rgb)
        index += 1
    yield from _end(source, index, stated, is_live, stated / fps - seconds)


def _end(source, index, stated, is_live, missing_seconds) -> Iterator[Frame]:
    """Yield the error that a source ended too early; `index` is the number of its frames."""
    is_file = source.kind is Kind.VIDEO
    is_counted = Path(source.address).suffix.lower() in COUNTED_SUFFIXES
    is_short = is_counted if is_file else missing_seconds > MISSING_END
    lost = max(stated - index if is_short else 0, int(not index))
    if is_file and lost:
        yield _lost_frames(source, index, lost)
    elif is_live or lost:
        now = time.strftime("%H:%M:%S")
        error = f"{source.title}: broke off at {now} after {counted(index, 'frame')}"
        yield Frame(source, index, error=error, lost=lost, is_end=True)


def _lost_frames(source, index, lost) -> Frame:
    error = f"{source.title}: {counted(lost, 'frame')} lost, from number {index} on"
    return Frame(source, index, error=error, lost=lost)


def latest_frames(frames: Iterator[Frame], stop: threading.Event) -> Iterator[Frame]:
    """Yield the latest frame each time; older ones are dropped, errors among them are yielded.

    A thread takes the frames as they come; those of a file over the network wait their turn. It is
    left behind, not waited for, when `stop` is set: a dead camera may hold it for long. An error
    that `frames` raises is raised here.
    """
    waiting: list[Frame] = []
    arrived = threading.Condition()
    errors: list[BaseException] = []

    def take():
        try:
            for frame in frames:
                with arrived:
                    while waiting and not (frame.is_live or frame.error or stop.is_set()):
                        arrived.wait(POLL_SECONDS)
                    if waiting and frame.is_live and not waiting[-1].error:
                        waiting.pop()
                    waiting.append(frame)
                    arrived.notify()
                if stop.is_set():
                    break
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=take, daemon=True, name=LEFT_BEHIND)
    thread.start()
    while not stop.is_set():
        with arrived:
            arrived.wait_for(lambda: waiting, POLL_SECONDS)
            ready, waiting[:] = waiting[:], []
            arrived.notify()
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
    if any(source.may_be_live for source in sources):
        return None
    videos = [source for source in sources if source.kind is Kind.VIDEO]
    stated = [max(1, stated_frames(open_capture(video))) for video in videos]
    return len(sources) - len(videos) + sum(stated)
