"""A detector that needs no training, and images and videos in which it finds what is known."""

from pathlib import Path

import cv2
import numpy as np

from yolov3.configs import Config
from yolov3.images import boxes_from_letterbox, letterbox_params

FPS = 12.5
VIDEO_HW = (48, 64)
NAMES = ["dark", "white/bright"]


class WhiteSquareDetector:
    """Stand in for `Detector`: find the bounds of all white as class 1, nothing in a dark one."""

    input_hw, class_names, config = (64, 96), NAMES, Config(tiny=True)
    weights, precision, score_threshold, iou_threshold = "nowhere", "float32", 0.3, 0.45
    agnostic_nms, multi_label, max_detections = False, False, 100

    def __init__(self):
        self.batches = []

    def detect_batch(self, images_rgb, *, score_threshold):
        """Guess with less than any usual threshold."""
        return [(np.zeros((1, 4)), np.float32([0.18]), np.int32([1]))] * len(images_rgb)

    def detect_letterboxed(self, images, image_sizes_hw):
        self.batches.append(len(images))
        return [self._find(*item) for item in zip(image_sizes_hw, images, strict=True)]

    def _find(self, image_hw, image):
        rows, columns = np.nonzero(image[..., 0] > 190)  # more than the grey of the letterbox
        if not len(rows):
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32)
        box = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]
        boxes = boxes_from_letterbox(
            np.float32(box), letterbox_params(image_hw, self.input_hw), image_hw
        )
        return boxes, np.float32([0.9]), np.int32([1])


class FakeCamera:
    """Stand in for a camera: frames of rising brightness, None where it loses one."""

    def __init__(self, frames):
        self.frames = iter(frames)

    def isOpened(self):
        return True

    def get(self, _what):
        return float("nan") if _what == cv2.CAP_PROP_FPS else -1.0

    def read(self):
        value = next(self.frames, None)
        return value is not None, value and np.full((4, 4, 3), value, np.uint8)

    def release(self):
        self.is_released = True


def dark_image(width, height, white_xyxy=None) -> np.ndarray:
    """Return a black image with a white rectangle."""
    image = np.zeros((height, width, 3), np.uint8)
    if white_xyxy is not None:
        left, top, right, bottom = white_xyxy
        image[top:bottom, left:right] = 255
    return image


def white_in_frame(index: int) -> list[int]:
    """Return where the white square of a video's frame is."""
    return [2 * index, 8, 2 * index + 16, 24]


def write_video(path: Path, frames: int = 10) -> Path:
    """Write a Motion JPEG video in which a white square moves to the right."""
    height, width = VIDEO_HW
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (width, height))
    for index in range(frames):
        writer.write(dark_image(width, height, white_in_frame(index)))
    writer.release()
    return path


def damage_frame(path: Path, index: int) -> Path:
    """Zero the image of a frame in a file of `write_video`."""
    data = bytearray(path.read_bytes())
    start = frame_start(data, index)
    size = int.from_bytes(data[start - 4 : start], "little")
    data[start : start + size] = bytes(size)
    path.write_bytes(data)
    return path


def frame_start(avi: bytes, index: int) -> int:
    """Return the position of a frame's image, behind its name and size, in a file's bytes."""
    start = avi.index(b"movi")
    for _ in range(index + 1):
        start = avi.index(b"00dc", start) + 8
    return start


def read_video(path: Path) -> tuple[float, list[np.ndarray]]:
    """Return frames per second and the frames, RGB, by OpenCV."""
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1][..., ::-1])
    return capture.get(cv2.CAP_PROP_FPS), frames
