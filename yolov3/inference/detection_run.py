"""Run a detection from its sources to its files, and tell the user about it."""

import contextlib
import itertools
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np

from yolov3.detection import Detector
from yolov3.inference.captures import quiet_opencv
from yolov3.inference.detection_progress import DetectionProgress
from yolov3.inference.frames import count_frames
from yolov3.inference.outputs import OutputOptions, Outputs
from yolov3.inference.pipeline import find_objects
from yolov3.inference.prefetch import prefetch
from yolov3.inference.sources import Kind, Source
from yolov3.inference.window import open_window, show_frame
from yolov3.runs.run_folders import fresh_folder

DEFAULT_FOLDER = "detections"
WRITERS = 2  # threads that draw and write
AHEAD = 2  # drawn frames that may wait to be shown or appended to a video
WINDOW = "detections"


def run_detection(
    detector: Detector,
    sources: list[Source],
    wanted: OutputOptions,
    output: str | None,
    batch_size: int | None,
) -> int:
    """Detect in all sources, write what is wanted to `output` or a new folder; return an exit code.

    It is 0, or 1 if no frame could be read. On Ctrl-C the files are finished and the summary is
    printed before KeyboardInterrupt goes on its way.
    """
    quiet_opencv()
    detector.detect_canvases(np.zeros((1, *detector.input_hw, 3), np.uint8))  # builds the graph
    folder = _make_folder(output) if wanted.files else None
    report = _Report(detector.class_names, count_frames(sources))
    try:
        with Outputs(folder, sources, detector.class_names, wanted, _head(detector)) as outputs:
            stop = threading.Event()
            found = find_objects(detector, sources, batch_size, stop)
            rendered = prefetch(found, outputs.render, WRITERS, AHEAD, stop)
            with contextlib.closing(rendered):
                _follow(rendered, outputs, report, wanted.show)
    except KeyboardInterrupt:
        report.summarize(folder)
        raise
    report.summarize(folder)
    return 0 if report.frames else 1


def _follow(rendered, outputs, report, is_shown) -> None:
    """Take rendered frames in order, until there is no more or the user closes the window."""
    for source, group in itertools.groupby(rendered, key=lambda pair: pair[0].frame.source):
        show = open_window if source.kind is Kind.IMAGE else show_frame
        for found, drawn in group:
            outputs.add(found, drawn)
            report.add(found)
            if is_shown and drawn is not None and not show(drawn, WINDOW):
                return
        report.end(source)


def _make_folder(output) -> Path:
    if output is None:
        return fresh_folder(DEFAULT_FOLDER)
    Path(output).mkdir(parents=True, exist_ok=True)
    return Path(output)


def _head(detector) -> dict:
    return {
        "network": detector.config.network,
        "weights": detector.origin,
        "input_size_hw": detector.input_hw,
        "precision": detector.precision,
        "score_threshold": detector.score_threshold,
        "iou_threshold": detector.iou_threshold,
        "agnostic_nms": detector.agnostic_nms,
        "max_detections": detector.max_detections,
        "classes": detector.class_names,
    }


class _Report:
    """What was found so far, for the user: a line per source, progress, and a summary."""

    def __init__(self, class_names, total: int | None):
        self.class_names, self.progress = class_names, DetectionProgress(total)
        self.frames, self.lost = 0, 0
        self.objects: Counter = Counter()  # by class, of all sources
        self._frames_before, self._objects_before = 0, Counter()  # the source at hand

    def add(self, found) -> None:
        frame = found.frame
        if frame.error:
            self.lost += frame.lost
            self.progress.message(f"passed over: {frame.error}", sys.stderr)
        else:
            self.frames += 1
            self.objects.update(found.classes.tolist())
        self.progress.add(frame.lost if frame.error else 1)

    def end(self, source: Source) -> None:
        """Print the line of a source of which at least one frame could be read."""
        frames = self.frames - self._frames_before
        objects = self.objects - self._objects_before
        self._frames_before, self._objects_before = self.frames, self.objects.copy()
        if frames:
            extent = "" if source.kind is Kind.IMAGE else f"{frames:,} frames, "
            self.progress.message(f"{source.title}: {extent}{self._list(objects)}")

    def summarize(self, folder: Path | None) -> None:
        """Print what was read, found and saved; remove a folder that stayed empty."""
        self.progress.close()
        parts = [f"{self.frames:,} frame{'' if self.frames == 1 else 's'} read"]
        if self.lost:
            parts.append(f"{self.lost:,} could not be read")
        if self.frames:
            speed = self.progress.frames_per_second
            parts += [self._list(self.objects), f"{speed:.1f} frames per second"]
        print("; ".join(parts))
        if folder and any(folder.iterdir()):
            print(f"saved in {folder}")
        elif folder:
            folder.rmdir()

    def _list(self, objects: Counter) -> str:
        ordered = sorted(objects.items(), key=lambda item: (-item[1], item[0]))
        names = [self.class_names[i] + (f" x{n:,}" if n > 1 else "") for i, n in ordered]
        return f"{objects.total():,} found: {', '.join(names)}" if names else "nothing found"
