"""Scenes on disk: images, their annotation file, and how they replace those of an earlier run."""

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

import cv2

from mnist.scenes import Scene
from yolov3.annotations import format_line
from yolov3.files import atomic_write

OWN_NAME = re.compile(r"[0-9]{6}\.png")
# Grey PNG without a row filter: 0.5 ms to write and 0.5 ms to read a 416 pixel scene of 9 kB,
# against 1.5 and 1.0 ms with OpenCV's settings for level 1. JPEG is as quick but not exact.
PNG_OPTIONS = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
)


class SplitWriter:
    """Write one split, `NAME/000001.png` ... and `NAME.txt` in a folder, in two steps.

    `draw` does all that takes long or may fail, in a hidden folder; `install` then puts the result
    in place. As a context manager it leaves nothing behind when it was not installed.
    """

    def __init__(self, output: Path, name: str):
        self.folder = output.resolve() / name
        self.annotations = self.folder.with_name(f"{name}.txt")
        self.lines: list[str] = []

    def __enter__(self) -> "SplitWriter":
        """Make the folders; they share a file system, so that installing only renames."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._hidden = tempfile.TemporaryDirectory(dir=self.folder, prefix=".new-")
        self._drawn = Path(self._hidden.name)
        return self

    def __exit__(self, *_exception) -> None:
        self._hidden.cleanup()

    def draw(self, scenes: Iterable[Scene]) -> None:
        """Write the images to the hidden folder and collect their annotation lines.

        Raises ValueError for a path that no annotation line can hold.
        """
        for number, scene in enumerate(scenes, start=1):
            name = f"{number:06d}.png"
            self.lines.append(format_line(self.folder / name, scene.boxes_xyxy, scene.labels))
            _, content = cv2.imencode(".png", scene.image, PNG_OPTIONS)
            (self._drawn / name).write_bytes(content)

    def install(self) -> int:
        """Replace an earlier run; return how many of its images had no successor.

        Its annotation file goes first and the new one comes last, so that one that exists always
        fits its images, even after a power cut. Files of other names stay.
        """
        self.annotations.unlink(missing_ok=True)
        own = {path for path in self.folder.iterdir() if OWN_NAME.fullmatch(path.name)}
        new = {self.folder / path.name: path for path in self._drawn.iterdir()}
        for path, drawn in new.items():
            os.replace(drawn, path)
        for path in own - new.keys():
            path.unlink()
        with atomic_write(self.annotations) as partial:
            partial.write_text("\n".join(self.lines) + "\n", encoding="utf-8")
        return len(own - new.keys())
