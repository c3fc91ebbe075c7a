"""Write detections as JSON while they come, so that memory does not grow with a video."""

import json
from pathlib import Path

from yolov3.inference.frame import Frame
from yolov3.inference.sources import Kind

BOX_DIGITS, SCORE_DIGITS, SECONDS_DIGITS = 2, 4, 3


class JsonFile:
    """A JSON object with the members of `head`, which has some, and an array `frames`, a line each.

    `close` must be called to make it whole.
    """

    def __init__(self, path: Path, head: dict):
        self._stream = open(path, "x", encoding="utf-8")
        self._stream.write(json.dumps(head)[:-1] + ', "frames": [')
        self._separator = "\n"

    def add(self, frame: dict) -> None:
        """Append what `frame_entry` returns."""
        self._stream.write(self._separator + json.dumps(frame))
        self._separator = ",\n"

    def close(self) -> None:
        self._stream.write("\n]}\n")
        self._stream.close()


def frame_entry(frame: Frame, boxes_xyxy, scores, classes, class_names) -> dict:
    """Describe a frame and its objects: boxes (N, 4) in pixels, scores (N,), classes (N,)."""
    entry = {"source": frame.source.title}
    if frame.error:
        return {**entry, "error": frame.error}
    if frame.source.kind is not Kind.IMAGE:
        entry |= {"frame": frame.index, "seconds": round(frame.seconds, SECONDS_DIGITS)}
    height, width = frame.size_hw
    objects = [
        {
            "class": class_names[label],
            "class_index": int(label),
            "score": round(float(score), SCORE_DIGITS),
            "box_xyxy": [round(float(value), BOX_DIGITS) for value in box],
        }
        for box, score, label in zip(boxes_xyxy, scores, classes, strict=True)
    ]
    return {**entry, "width": width, "height": height, "objects": objects}
