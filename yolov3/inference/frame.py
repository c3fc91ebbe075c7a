"""One frame of a source: an image is one frame, a video many."""

from typing import NamedTuple

import numpy as np

from yolov3.inference.sources import Source


class Frame(NamedTuple):
    """A frame of a source, or what came of it instead."""

    source: Source
    index: int = 0  # in the video
    seconds: float = 0.0  # since its start
    fps: float = 0.0  # of the video
    is_live: bool = False
    image_rgb: np.ndarray | None = None  # (H, W, 3) uint8; not held where it is not needed
    size_hw: tuple[int, int] = (0, 0)  # pixels
    error: str = ""  # why there is no image
    lost: int = 0  # how many frames the error stands for

    def with_image(self, image_rgb: np.ndarray) -> "Frame":
        return self._replace(image_rgb=image_rgb, size_hw=image_rgb.shape[:2])
