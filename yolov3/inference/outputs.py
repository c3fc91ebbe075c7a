"""The files of a detection: annotated images and videos, labels, crops, JSON."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolov3.draw import draw_boxes
from yolov3.files import short_name
from yolov3.formats.data_set import AnnotatedImage
from yolov3.formats.yolo import CLASS_FILE, format_labels
from yolov3.images import write_image
from yolov3.inference.frames import Frame, load
from yolov3.inference.names import own_names, safe_name
from yolov3.inference.pipeline import Detections
from yolov3.inference.sources import Kind, Source
from yolov3.inference.video import VideoFile

JSON_NAME = "detections.json"
BOX_DIGITS, SCORE_DIGITS, SECONDS_DIGITS = 2, 4, 3
JPEG_SUFFIXES, JPEG_MAX = {".jpg", ".jpeg"}, 65_500  # pixels of a side


class OutputOptions(NamedTuple):
    """What to write and show of detections."""

    save: bool = False  # images and videos with boxes
    txt: bool = False  # labels in the YOLO format
    crops: bool = False
    json: bool = False
    show: bool = False

    @property
    def files(self) -> bool:
        return self.save or self.txt or self.crops or self.json


class Outputs:
    """Write what is found in sources to a folder; use it in a `with` statement.

        folder/<name>.png or .jpg, .mp4    with boxes
        folder/labels/<name>.txt           YOLO format, with classes.txt beside them
        folder/crops/<class>/<name>-1.png  one for each object
        folder/detections.json

    For a frame of a video <name> is <name of the video>/<number of the frame>, six digits. The
    names of sources differ and `folder` is empty at the start, so nothing is overwritten. Leaving
    the `with` finishes video and JSON, whatever happened.
    """

    def __init__(
        self, folder, sources: list[Source], class_names, options: OutputOptions, head: dict
    ):
        self.folder, self.class_names, self.options = Path(folder or ""), class_names, options
        taken = {source.name.parts[0] for source in sources}  # folders of a source are not ours
        ours = own_names([Path("labels"), Path("crops")], taken)
        self._labels, crops = (self.folder / name for name in ours)
        folders = (safe_name(name) or f"class {label}" for label, name in enumerate(class_names))
        self._crops = [crops / name for name in own_names(map(Path, folders))]  # of each class
        self._video: VideoFile | None = None
        self._video_source: Source | None = None
        self._json = JsonFile(self.folder / JSON_NAME, head) if options.json else None
        if options.txt:
            names = "".join(f"{name}\n" for name in class_names)
            _write_new(self._labels / CLASS_FILE, names)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._close_video()
        finally:
            if self._json:
                self._json.close()

    def draw(self, found: Detections) -> tuple[Detections, np.ndarray | None]:
        """Write the files that are a frame's own; return the drawn image if it is still needed.

        Frames may be drawn at the same time and in any order.
        """
        options = self.options
        if options.txt and not found.frame.error:
            self._write_labels(found)
        if not (options.save or options.crops or options.show):
            return found, None
        found = found._replace(frame=load(found.frame))
        drawn = None if found.frame.error else self._draw_image(found)
        return found._replace(frame=found.frame._replace(image_rgb=None)), drawn

    def _draw_image(self, found) -> np.ndarray | None:
        frame, options = found.frame, self.options
        if options.crops:
            self._write_crops(found)
        if not (options.save or options.show):
            return None
        drawn = draw_boxes(
            frame.image_rgb, found.boxes_xyxy, found.classes, self.class_names, found.scores
        )
        is_image = frame.source.kind is Kind.IMAGE
        if options.save and is_image:
            path = self.folder / frame.source.name
            write_image(_file(path, _suffix(frame.source, drawn)), drawn)
        return None if is_image and not options.show else drawn

    def write(self, found: Detections, drawn: np.ndarray | None) -> None:
        """Append a drawn frame to the files that hold several; to be called in order."""
        frame = found.frame
        if self._json:
            self._json.write(frame_entry(*found, self.class_names))
        if frame.source is not self._video_source:
            self._close_video()
        if drawn is not None and self.options.save and frame.source.kind is not Kind.IMAGE:
            self._add_to_video(frame, drawn)

    def _add_to_video(self, frame, drawn):
        if not self._video:
            path = self.folder / frame.source.name
            self._video = VideoFile(path, frame.size_hw, frame.fps)
            self._video_source = frame.source
        if frame.is_live:
            self._video.write_at(frame.seconds, drawn)
        else:
            self._video.write(drawn)

    def _write_labels(self, found):
        size_wh = found.frame.size_hw[::-1]
        image = AnnotatedImage(found.frame.source.address, size_wh, found.boxes_xyxy, found.classes)
        path = _file(self._labels / _frame_name(found.frame), ".txt")
        _write_new(path, "".join(format_labels(image)))

    def _write_crops(self, found):
        objects = zip(found.boxes_xyxy, found.classes, strict=True)
        for number, (box_xyxy, label) in enumerate(objects, start=1):
            cropped = crop(found.frame.image_rgb, box_xyxy)
            ending = f"-{number}{_suffix(found.frame.source, cropped)}"
            write_image(_file(self._crops[label] / _frame_name(found.frame), ending), cropped)

    def _close_video(self):
        video, self._video, self._video_source = self._video, None, None
        if video:
            video.close()


class JsonFile:
    """A JSON object with the members of `head`, at least one, and an array `frames`.

    Each frame is written at once, so memory does not grow with the length of a video; `close`
    completes the file.
    """

    def __init__(self, path: Path, head: dict):
        self._stream = open(path, "x", encoding="utf-8")
        self._stream.write(json.dumps(head)[:-1] + ', "frames": [')
        self._separator = "\n"

    def write(self, frame: dict) -> None:
        """Append what `frame_entry` returns, on a line of its own."""
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


def crop(image_rgb: np.ndarray, box_xyxy: np.ndarray) -> np.ndarray:
    """Return all pixels of an image (H, W, 3) that a box in it touches, at least one."""
    height, width = image_rgb.shape[:2]
    left, top = np.minimum(np.floor(box_xyxy[:2]).astype(int), [width - 1, height - 1])
    right, bottom = np.maximum(np.ceil(box_xyxy[2:]).astype(int), [left + 1, top + 1])
    return image_rgb[top:bottom, left:right]


def _frame_name(frame) -> Path:
    is_image = frame.source.kind is Kind.IMAGE
    return frame.source.name if is_image else frame.source.name / f"{frame.index:06d}"


def _file(path: Path, ending: str) -> Path:
    return path.with_name(short_name(path.name, ending))


def _suffix(source: Source, image_rgb) -> str:
    """JPEG stays JPEG, which would be large as PNG, if it holds the size; all else becomes PNG."""
    suffix = Path(source.address).suffix
    is_jpeg = suffix.lower() in JPEG_SUFFIXES and max(image_rgb.shape) <= JPEG_MAX
    return suffix if is_jpeg else ".png"


def _write_new(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "x", encoding="utf-8") as stream:
        stream.write(text)
