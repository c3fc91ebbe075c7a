"""The files of a detection: annotated images and videos, labels, crops, JSON."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolov3.draw import draw_boxes
from yolov3.files import short_name, write_whole
from yolov3.formats.yolo import CLASS_FILE, format_labels
from yolov3.images import write_image
from yolov3.inference.frames import load
from yolov3.inference.pipeline import Detections
from yolov3.inference.sources import Kind, Source, own_names, safe_name
from yolov3.inference.video import VideoFile, saved_rate

JSON_NAME = "detections.json"
BOX_DIGITS, SCORE_DIGITS, SECONDS_DIGITS = 2, 4, 3
JPEG_SUFFIXES = {".jpg", ".jpeg"}


class OutputOptions(NamedTuple):
    """What to write and show of detections, and where."""

    save: bool = False  # images and videos with boxes
    txt: bool = False  # labels in the YOLO format
    crops: bool = False
    json: bool = False
    show: bool = False
    folder: str | None = None  # to write to; a new one unless given

    @property
    def files(self) -> bool:
        return self.save or self.txt or self.crops or self.json


class Outputs:
    """Write what is found in sources to a folder; `close` must be called.

        folder/<name>.png or .jpg, .mp4    with boxes
        folder/labels/<name>.txt           YOLO format, with classes.txt beside them
        folder/crops/<class>/<name>-1.png  one for each object
        folder/detections.json

    For a frame of a video <name> is <name of the video>/<number of the frame>, six digits. The
    names of sources differ and `folder` is empty at the start, so nothing is overwritten. `head` is
    that of the JSON, with the class names as `classes`. A file that cannot be written ends nothing:
    `tell` is called with its name and the reason, maybe in another thread.
    """

    def __init__(self, folder, sources: list[Source], options: OutputOptions, head: dict, tell):
        self.folder, self.class_names, self.options = Path(folder or ""), head["classes"], options
        taken = [Path(source.name.parts[0]) for source in sources]  # folders that are not ours
        ours = own_names([Path("labels"), Path("crops")], taken)
        self._labels, crops = (self.folder / name for name in ours)
        folders = [safe_name(name) or f"class {n}" for n, name in enumerate(self.class_names)]
        self._crops = [crops / name for name in own_names(map(Path, folders))]  # of each class
        self._tell = tell
        self._video: VideoFile | None = None
        self._video_source: Source | None = None
        self._json = JsonFile(self.folder / JSON_NAME, head) if options.json else None
        if options.txt:
            names = "".join(f"{name}\n" for name in self.class_names)
            write_whole(self._labels / CLASS_FILE, names.encode(errors="backslashreplace"))

    def close(self) -> None:
        """Finish video and JSON."""
        self._close_video()
        if self._json:
            self._json.close()

    def draw(self, found: Detections) -> tuple[Detections, np.ndarray | None]:
        """Write the files that are a frame's own; return the drawn image if there is one.

        Frames may be drawn at the same time and in any order.
        """
        options, frame, drawn = self.options, found.frame, None
        if options.txt and not frame.error:
            self._write_labels(found)
        if options.save or options.crops or options.show:
            frame = load(frame)
        if options.crops and not frame.error:
            self._write_crops(found, frame.image_rgb)
        if (options.save or options.show) and not frame.error:
            objects = found.boxes_xyxy, found.classes, self.class_names, found.scores
            drawn = draw_boxes(frame.image_rgb, *objects)
        if drawn is not None and options.save and frame.source.kind is Kind.IMAGE:
            with self._told():
                write_image(_file(self.folder / frame.source.name, _suffix(frame)), drawn)
        return found._replace(frame=frame._replace(image_rgb=None)), drawn

    def write(self, found: Detections, drawn: np.ndarray | None) -> None:
        """Append a drawn frame to the files that hold several; to be called in order."""
        frame = found.frame
        if frame.source is not self._video_source:
            self._close_video()
        if self._json:  # first: an interruption leaves no frame in a video without its line
            with self._told():
                self._json.write(frame_entry(found, self.class_names))
        if drawn is not None and self.options.save and frame.source.kind is not Kind.IMAGE:
            with self._told():
                self._add_to_video(frame, drawn)

    def _add_to_video(self, frame, drawn):
        if frame.source is not self._video_source:
            self._video_source = frame.source  # first: a video that does not open is told once
            rate = saved_rate(frame.source, frame.fps)
            self._video = VideoFile(self.folder / frame.source.name, frame.size_hw, rate)
        if self._video:
            self._video.write(drawn, frame.seconds)

    def _write_labels(self, found):
        text = format_labels(found.frame.size_hw[::-1], found.boxes_xyxy, found.classes)
        with self._told():
            write_whole(_file(self._labels / _frame_name(found.frame), ".txt"), text.encode())

    def _write_crops(self, found, image_rgb):
        objects = zip(found.boxes_xyxy, found.classes, strict=True)
        for number, (box_xyxy, label) in enumerate(objects, start=1):
            path = self._crops[label] / _frame_name(found.frame)
            with self._told():
                cropped = crop(image_rgb, box_xyxy)
                write_image(_file(path, f"-{number}{_suffix(found.frame)}"), cropped)

    def _close_video(self):
        video, self._video, self._video_source = self._video, None, None
        if video:
            with self._told():
                video.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Tell why a file could not be written, in place of an error."""
        try:
            yield
        except (OSError, ValueError) as error:
            self._tell(str(error))


class JsonFile:
    """A JSON object with the members of `head`, at least one, and an array `frames`.

    Each frame is written at once, so memory does not grow with the length of a video, and the file
    is complete after each. Raises OSError that names the file if it cannot be written; after that
    it has the frames up to then, and takes no more.
    """

    END = b"\n]}\n"

    def __init__(self, path: Path, head: dict):
        self._path, self._size, self._separator = path, 0, b"\n"  # size without END
        self._stream = open(path, "xb", buffering=0)
        self._append(_to_json(head)[:-1] + b', "frames": [')

    def write(self, frame: dict) -> None:
        """Append what `frame_entry` returns, on a line of its own."""
        if not self._stream.closed:
            self._append(self._separator + _to_json(frame))
            self._separator = b",\n"

    def _append(self, content: bytes):
        try:
            self._replace_end(content)
        except OSError as error:
            with contextlib.suppress(OSError):  # the disk has room for what was there before
                self._replace_end(b"")
            self.close()
            raise OSError(f"{self._path}: {error.strerror}") from None
        self._size += len(content)

    def _replace_end(self, content: bytes):
        self._stream.truncate(self._size)
        self._stream.seek(self._size)
        rest = content + self.END
        while rest:
            rest = rest[self._stream.write(rest) :]

    def close(self) -> None:
        self._stream.close()


def _to_json(value) -> bytes:
    """Write JSON in Unicode; bytes of a name that are none become escapes: \\udcff."""
    return json.dumps(value, ensure_ascii=False).encode(errors="backslashreplace")


def frame_entry(found: Detections, class_names) -> dict:
    """Describe a frame and its objects."""
    frame = found.frame
    entry = {"source": frame.source.title}
    if frame.error:
        return {**entry, "error": frame.error}
    if frame.source.kind is not Kind.IMAGE:
        entry |= {"frame": frame.index, "seconds": round(frame.seconds, SECONDS_DIGITS)}
    height, width = frame.size_hw
    objects = describe_objects(found.boxes_xyxy, found.scores, found.classes, class_names)
    return {**entry, "width": width, "height": height, "objects": objects}


def describe_objects(boxes_xyxy, scores, classes, class_names) -> list[dict]:
    """Describe what a `Detector` found in an image."""
    return [
        {
            "class": class_names[label],
            "class_index": int(label),
            "score": round(float(score), SCORE_DIGITS),
            "box_xyxy": [round(float(value), BOX_DIGITS) for value in box],
        }
        for box, score, label in zip(boxes_xyxy, scores, classes, strict=True)
    ]


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


def _suffix(frame) -> str:
    """JPEG stays JPEG, which would be large as PNG; all else becomes PNG."""
    suffix = Path(frame.source.address).suffix
    return suffix if suffix.lower() in JPEG_SUFFIXES else ".png"
