"""Read sources frame by frame: an image is one frame, a video many, a camera has no end."""

import contextlib
import threading
from collections.abc import Generator, Iterable

from yolov3.images import ImageFileError, read_image, read_image_size
from yolov3.inference.captures import open_capture, read_file, read_live, stated_frames
from yolov3.inference.frame import Frame
from yolov3.inference.newest import newest
from yolov3.inference.sources import Kind, Source

LARGE_PIXELS = 32_000_000  # 96 MB in memory: of such images only one is held at a time
_large_turn = threading.Lock()


def read_frames(sources: Iterable[Source], stop: threading.Event) -> Generator[Frame, None, None]:
    """Yield the frames of all sources in order; those of images without image, for `load`.

    Of a live source only the newest frame is kept while nobody asks, so that what is seen is now.
    When `stop` is set, nobody waits for its next frame.
    """
    for source in sources:
        if source.kind is Kind.IMAGE:
            yield Frame(source)
            continue
        capture = open_capture(source)
        if not capture.isOpened():
            yield Frame(
                source, error=f"{source.title}: this {source.kind.value} does not open", lost=1
            )
        elif source.kind is Kind.VIDEO or (source.kind is Kind.STREAM and stated_frames(capture)):
            yield from read_file(source, capture)
        else:
            yield from newest(read_live(source, capture), lambda frame: not frame.error, stop)


def load(frame: Frame) -> Frame:
    """Read the image of an image's frame, if it is not there; return any other as it is."""
    if frame.source.kind is not Kind.IMAGE or frame.image_rgb is not None or frame.error:
        return frame
    try:
        return frame.with_image(read_image(frame.source.address))
    except (ValueError, MemoryError) as error:
        return frame._replace(error=str(error) or f"{frame.source.address}: out of memory", lost=1)


@contextlib.contextmanager
def turn(frame: Frame):
    """Wait until no other large image is held, if this is one; yield whether it is.

    Many threads each with an image of 20,000 x 20,000 pixels would fill any memory.
    """
    if not _is_large(frame):
        yield False
        return
    with _large_turn:
        yield True


def count_frames(sources: Iterable[Source]) -> int | None:
    """Return how many frames there are, as far as headers tell, or None where one has no end."""
    total = 0
    for source in sources:
        if source.kind in (Kind.CAMERA, Kind.STREAM):
            return None
        is_image = source.kind is Kind.IMAGE
        total += 1 if is_image else max(1, stated_frames(open_capture(source)))
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
