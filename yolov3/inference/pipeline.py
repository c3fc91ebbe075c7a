"""Detect in sources: reading, network and drawing of different frames at the same time."""

import contextlib
import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from yolov3.detection import Detector
from yolov3.images import letterbox
from yolov3.inference.frames import Frame, load, read_frames
from yolov3.inference.sources import Kind, Source

READERS = 2  # threads that decode and letterbox
# Frames at once, of what is not live. On a CPU YOLOv3-tiny takes 0.7 of the time per image that
# it takes one by one, YOLOv3 0.9, and with larger batches no less.
BATCH_SIZE = 4
NO_OBJECTS = (np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))
LARGE_PIXELS = 32_000_000  # 96 MB in memory: such an image is read again when it is drawn
END = object()  # in place of an item when there are no more


class Detections(NamedTuple):
    """The objects of a frame; none where it has an error."""

    frame: Frame
    boxes_xyxy: np.ndarray  # (N, 4) float32, pixels of the frame
    scores: np.ndarray  # (N,) float32, falling
    classes: np.ndarray  # (N,) int


def detect_frames(
    detector: Detector, sources: list[Source], batch_size: int | None, stop, reconnect: int = 0
) -> Generator[Detections, None, None]:
    """Yield what a detector finds in each frame of the sources, in their order.

    Frames are read and letterboxed in threads while the network runs. A frame that cannot be read
    has an error; large images come without their pixels, to save memory. `stop`, an
    event, ends the threads. `reconnect` is that of `read_frames`.
    """
    is_live = any(source.may_be_live for source in sources)
    batch_size = batch_size or (1 if is_live else BATCH_SIZE)
    ahead = 1 if is_live else batch_size  # frames that wait are late

    def prepare(frame: Frame) -> tuple[Frame, np.ndarray | None]:
        frame = load(frame)
        if frame.error:
            return frame, None
        letterboxed = letterbox(frame.image_rgb, detector.input_hw)
        if frame.source.kind is Kind.IMAGE and math.prod(frame.size_hw) > LARGE_PIXELS:
            frame = frame._replace(image_rgb=None)
        return frame, letterboxed

    frames = read_frames(sources, stop, reconnect)
    with contextlib.closing(prefetch(frames, prepare, READERS, ahead, stop)) as prepared:
        while batch := list(itertools.islice(prepared, batch_size)):
            yield from _detect(detector, batch)


def prefetch(
    items: Generator, function: Callable, workers: int, ahead: int, stop: threading.Event
) -> Generator:
    """Yield `function(item)` for each item in order, while `ahead` more are worked on in threads.

    One thread takes the items, `workers` call the function. An error of either is raised here in
    its turn. At the end, whatever the reason, `stop` is set, which ends the wait for a live source;
    then the threads end and `items` is closed.
    """
    taker, pool = ThreadPoolExecutor(1), ThreadPoolExecutor(workers)

    def work(taken):
        item = taken.result()
        return END if item is END else function(item)

    waiting: deque = deque()
    try:
        while True:
            while len(waiting) <= ahead:
                waiting.append(pool.submit(work, taker.submit(next, items, END)))
            result = waiting.popleft().result()
            if result is END:
                return
            yield result
    finally:
        stop.set()
        taker.shutdown(cancel_futures=True)
        pool.shutdown(cancel_futures=True)
        items.close()


def _detect(detector, batch) -> Iterator[Detections]:
    """Run the network on the letterboxed images of a batch, of which some may be missing."""
    good = [(image, frame.size_hw) for frame, image in batch if image is not None]
    detections = iter(())
    if good:
        images, sizes_hw = zip(*good, strict=True)
        detections = iter(detector.detect_letterboxed(np.stack(images), sizes_hw))
    for frame, image in batch:
        yield Detections(frame, *(NO_OBJECTS if image is None else next(detections)))
