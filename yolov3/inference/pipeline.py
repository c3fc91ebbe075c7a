"""Find objects in sources: reading, network and drawing of different frames at the same time."""

import threading
from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from yolov3.detection import Detector
from yolov3.images import letterbox
from yolov3.inference.frame import Frame
from yolov3.inference.frames import load, read_frames, turn
from yolov3.inference.prefetch import prefetch
from yolov3.inference.sources import Kind, Source

READERS = 2  # threads that decode and letterbox
# Frames at once, of what is not live. On a CPU YOLOv3-tiny takes 0.7 of the time per image that
# it takes one by one, YOLOv3 0.9, and with larger batches no less.
BATCH_SIZE = 4
NO_OBJECTS = (np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))


class Detections(NamedTuple):
    """The objects of a frame; none where it has an error."""

    frame: Frame
    boxes_xyxy: np.ndarray  # (N, 4) float32, pixels of the frame
    scores: np.ndarray  # (N,) float32, falling
    classes: np.ndarray  # (N,) int


def find_objects(
    detector: Detector, sources: list[Source], batch_size: int | None, stop: threading.Event
) -> Generator[Detections, None, None]:
    """Yield what a detector finds in each frame of the sources, in their order.

    Frames are read and letterboxed in threads, some batches ahead of the network. What cannot be
    read comes as a frame with an error, and large images without image, for they would fill the
    memory. `stop` is that of `prefetch`.
    """
    is_live = any(source.kind in (Kind.STREAM, Kind.CAMERA) for source in sources)
    batch_size = batch_size or (1 if is_live else BATCH_SIZE)
    ahead = 1 if is_live else batch_size  # what waits is late

    def prepare(frame: Frame) -> tuple[Frame, np.ndarray | None]:
        with turn(frame) as is_large:
            frame = load(frame)
            if frame.error:
                return frame, None
            canvas = letterbox(frame.image_rgb, detector.input_hw)
            return frame._replace(image_rgb=None) if is_large else frame, canvas

    prepared = prefetch(read_frames(sources, stop), prepare, READERS, ahead, stop)
    for batch in _batches(prepared, batch_size):
        yield from _detect(detector, batch)


def _batches(items: Iterable, size: int) -> Iterator[list]:
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _detect(detector, batch) -> Iterator[Detections]:
    """Run the network on the canvases of a batch, of which some may be missing."""
    good = [(frame.size_hw, canvas) for frame, canvas in batch if canvas is not None]
    detections = iter(detector.detect_letterboxed(*zip(*good, strict=True)) if good else ())
    for frame, canvas in batch:
        yield Detections(frame, *(NO_OBJECTS if canvas is None else next(detections)))
