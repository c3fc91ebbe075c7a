"""Write a video file that plays at its source's speed and that an interruption leaves readable."""

from pathlib import Path

import cv2
import numpy as np

MPEG4_SIDES = range(2, 8192)  # pixels that the codec takes


class VideoFile:
    """A video that is being written; `close` must be called, for without it there is no index.

    It is MPEG-4 in .mp4, or Motion JPEG in .avi for sizes that MPEG-4 does not take. `path` comes
    without ending. Raises OSError if the file cannot be written.
    """

    def __init__(self, path: Path, size_hw: tuple[int, int], fps: float):
        fits = all(side in MPEG4_SIDES for side in size_hw)
        suffix, codec = (".mp4", "mp4v") if fits else (".avi", "MJPG")
        self.path = path.with_name(path.name + suffix)
        self.size_wh, self.fps, self.frames = size_hw[::-1], fps, 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fourcc = cv2.VideoWriter_fourcc(*codec)
        self._writer = cv2.VideoWriter(str(self.path.absolute()), fourcc, fps, self.size_wh)
        if not self._writer.isOpened():
            raise OSError(f"{self.path}: cannot write a video of {size_hw[1]}x{size_hw[0]} pixels")

    def write(self, image_rgb: np.ndarray) -> None:
        """Append a frame, uint8 (H, W, 3) RGB, resized should its source have changed its size."""
        if image_rgb.shape[1::-1] != self.size_wh:
            image_rgb = cv2.resize(image_rgb, self.size_wh, interpolation=cv2.INTER_AREA)
        self._writer.write(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
        self.frames += 1

    def write_at(self, seconds: float, image_rgb: np.ndarray) -> None:
        """Append a frame as often as it takes to fill the time up to `seconds` since the start.

        Frames of something live come at their own pace, and the file has a fixed one.
        """
        while self.frames <= seconds * self.fps:
            self.write(image_rgb)

    def close(self) -> None:
        self._writer.release()
