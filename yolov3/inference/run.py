"""Run a detection from its sources to its files, and tell the user about it."""

import contextlib
import itertools
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np

from yolov3.cli.progress import Progress
from yolov3.detection import Detector
from yolov3.files import output_folder
from yolov3.inference.frames import count_frames
from yolov3.inference.outputs import OutputOptions, Outputs
from yolov3.inference.pipeline import Detections, detect_frames, prefetch
from yolov3.inference.scenes import nothing_found
from yolov3.inference.sources import Kind, Source
from yolov3.inference.video import quiet_opencv
from yolov3.inference.window import open_window
from yolov3.text import counted, missing_letters

FOLDER = WINDOW = "detections"
WRITERS = 2  # threads that draw and write
AHEAD = 2  # drawn frames that may wait to be shown or appended to a video
# Of the detector, in the JSON.
SETTINGS = ("weights", "precision", "score_threshold", "iou_threshold")
SETTINGS += ("agnostic_nms", "multi_label", "max_detections")


def run_detection(
    detector: Detector, sources: list[Source], options: OutputOptions, batch_size, reconnect=0
) -> int:
    """Detect in all sources and write what `options` say; `batch_size` may be None.

    Streams and cameras that break off are opened again up to `reconnect` times in a row. Returns
    the exit code: 0, or 1 if no frame could be read, a stream or camera was given up, or a file was
    not written. On Ctrl-C and errors, too, the files are finished and the summary is printed.
    """
    quiet_opencv()
    blank = np.zeros((1, *detector.input_hw, 3), np.uint8)
    detector.detect_letterboxed(blank, [detector.input_hw])  # builds the graph
    names, stop = detector.class_names, threading.Event()
    report = DetectionReport(names, count_frames(sources), detector.max_detections)
    if (options.save or options.show) and (lack := missing_letters(names)):
        report.progress.message(lack)
    with contextlib.ExitStack() as stack:
        folder = None
        if options.files:
            folder = stack.enter_context(output_folder(options.folder, FOLDER))
        stack.callback(report.summarize, folder)
        outputs = Outputs(folder, sources, options, _head(detector), report.tell_unsaved)
        stack.enter_context(contextlib.closing(outputs))
        stack.enter_context(report.progress)
        found = detect_frames(detector, sources, batch_size, stop, reconnect)
        drawn = prefetch(found, outputs.draw, WRITERS, AHEAD, stop)
        _follow(stack.enter_context(contextlib.closing(drawn)), outputs, report)
    if report.frames and not report.objects:
        print(nothing_found(detector))
    return 0 if report.frames and not report.unsaved and not report.broken else 1


def _follow(drawn, outputs, report) -> None:
    """Take drawn frames in order, until there are no more or the user closes the window."""
    for source, group in itertools.groupby(drawn, key=lambda pair: pair[0].frame.source):
        for found, image_rgb in group:
            outputs.write(found, image_rgb)
            report.add(found)
            if outputs.options.show and image_rgb is not None:
                if not open_window(image_rgb, WINDOW, wait=source.kind is Kind.IMAGE):
                    return
        report.end(source)


def _head(detector) -> dict:
    network = {"network": detector.config.network, "input_size_hw": detector.input_hw}
    settings = {name: getattr(detector, name) for name in SETTINGS}
    return network | settings | {"classes": detector.class_names}


class DetectionReport:
    """What was found so far, for the user: a line per source, progress, and a summary.

    `total` is the number of frames, None where there is no end, `limit` that of objects in a frame.
    The clock starts here.
    """

    def __init__(self, class_names, total: int | None, limit: int, clock=time.monotonic):
        self.class_names, self.total, self.limit = class_names, total, limit
        self.progress = Progress(total, clock=clock)
        self.frames, self.lost, self.full = 0, 0, 0
        self.unsaved, self._lock = 0, threading.Lock()  # files that could not be written
        self.broken = 0  # streams and cameras that were given up
        self.objects: Counter = Counter()  # by class, of all sources
        self._frames_before, self._objects_before = 0, Counter()  # before the current source
        self._clock, self._started = clock, clock()

    def add(self, found: Detections) -> None:
        """Count a frame, or the frames that an error stands for."""
        frame = found.frame
        if frame.error:
            self.lost += frame.lost
            self.broken += frame.is_end
            is_break = frame.is_end or not frame.lost
            self.progress.message(frame.error if is_break else f"skipped: {frame.error}")
        else:
            self.frames += 1
            self.full += len(found.classes) >= self.limit
            self.objects.update(found.classes.tolist())
        done = self.frames + self.lost
        of = "" if self.total is None else f"/{max(self.total, done):,}"  # headers may be wrong
        text = f"{done:,}{of} frames  {self._frames_per_second():.1f} frames/s"
        self.progress.advance(frame.lost if frame.error else 1, text)

    def tell_unsaved(self, message: str) -> None:
        """Name a file that could not be written, and count it; in any thread."""
        with self._lock:
            self.unsaved += 1
        self.progress.message(f"not saved: {message}")

    def end(self, source: Source) -> None:
        """Print the line of a source of which at least one frame could be read."""
        frames = self.frames - self._frames_before
        objects = self.objects - self._objects_before
        self._frames_before, self._objects_before = self.frames, self.objects.copy()
        if frames:
            extent = "" if source.kind is Kind.IMAGE else f"{counted(frames, 'frame')}, "
            self.progress.message(f"{source.title}: {extent}{self._list(objects)}", sys.stdout)

    def summarize(self, folder: Path | None) -> None:
        """Print what was read, found and saved."""
        parts = {
            f"{counted(self.frames, 'frame')} read": True,
            f"{self.lost:,} could not be read": self.lost,
            f"{counted(self.broken, 'stream')} failed": self.broken,
            f"{counted(self.unsaved, 'file')} could not be written": self.unsaved,
            self._list(self.objects): self.frames,
            f"{self._frames_per_second():.1f} frames per second": self.frames,
        }
        print("; ".join(part for part, is_said in parts.items() if is_said))
        if self.full:
            frames = f"{counted(self.full, 'frame')} with {counted(self.limit, 'object')}"
            print(f"note: {frames}, the most that --max-detections keeps")
        if folder and any(folder.iterdir()):
            print(f"saved in {folder}")

    def _frames_per_second(self) -> float:
        return (self.frames + self.lost) / max(self._clock() - self._started, 1e-9)

    def _list(self, objects: Counter) -> str:
        ordered = sorted(objects.items(), key=lambda item: (-item[1], item[0]))
        names = [self.class_names[i] + (f" x{n:,}" if n > 1 else "") for i, n in ordered]
        return f"{objects.total():,} found: {', '.join(names)}" if names else "nothing found"
