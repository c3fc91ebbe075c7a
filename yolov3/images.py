"""Read images, letterbox them, and take boxes into the letterbox and back."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from yolov3.data.image_file import MISSING, ImageFileError, open_image_file, read_image_header

GREY = 128  # fills what the image does not cover


class Letterbox(NamedTuple):
    """Where an image lies on its canvas: x_canvas = x_image * scale_xy + offset_xy."""

    size_wh: tuple[int, int]  # of the resized image, pixels of the canvas
    offset_xy: tuple[int, int]  # of its top left corner, pixels of the canvas
    scale_xy: tuple[float, float]  # exactly size_wh / image size, so the round trip is exact


def read_image(path) -> np.ndarray:
    """Read an image as RGB uint8 (H, W, 3), upright as its EXIF orientation says.

    Grey, RGBA, 16-bit and CMYK files come out as 8-bit RGB, of an animation the first image.
    Raises ValueError for a file that is missing, no image, or cut off, and before decoding it for
    an image of more than `image_file.MAX_PIXELS`.
    """
    try:
        with open_image_file(path) as stream:
            read_image_header(stream)
            stream.seek(0)
            data = np.frombuffer(stream.read(), np.uint8)  # unlike imread, opens any file name
            image_rgb = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    except ImageFileError as fault:
        received = "there is" if fault.kind == MISSING else "received"
        raise ValueError(f"{path}: expected an image; {received} {fault}") from None
    except (OSError, cv2.error) as error:  # the disk or the memory fails, or OpenCV objects
        reason = " ".join(str(getattr(error, "err", error)).split())
        raise ValueError(f"{path}: expected an image; received {reason}") from None
    if image_rgb is None:
        raise ValueError(f"{path}: expected an image; received one that cannot be decoded")
    return image_rgb


def write_image(path, image_rgb: np.ndarray) -> None:
    """Write RGB uint8 (H, W, 3) in the format that the file name ends in; make the folder.

    Raises ValueError for an ending that names no format, and for a format that does not hold such a
    image, OSError where the file cannot be written.
    """
    height, width = image_rgb.shape[:2]
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        is_encoded, data = cv2.imencode(
            Path(path).suffix, cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
        )
    except cv2.error:
        raise ValueError(f"{path}: expected an image's name (.png, .jpg ...)") from None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not is_encoded:
        raise ValueError(
            f"{path}: expected a format that holds {width}x{height} pixels in colour; "
            f"received {Path(path).suffix}"
        )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None


def letterbox_params(image_hw, input_hw) -> Letterbox:
    """Fit an image of (height, width) centred into a canvas of (height, width).

    It keeps its aspect.
    """
    (height, width), (canvas_height, canvas_width) = image_hw, input_hw
    scale = min(canvas_width / width, canvas_height / height)
    new_width = max(1, min(canvas_width, round(width * scale)))
    new_height = max(1, min(canvas_height, round(height * scale)))
    return Letterbox(
        size_wh=(new_width, new_height),
        offset_xy=((canvas_width - new_width) // 2, (canvas_height - new_height) // 2),
        scale_xy=(new_width / width, new_height / height),
    )


def letterbox(image_rgb: np.ndarray, input_hw) -> np.ndarray:
    """Resize uint8 (H, W, 3) to fit into `input_hw`, on a grey canvas (h, w, 3) uint8."""
    height, width = image_rgb.shape[:2]
    fit = letterbox_params((height, width), input_hw)
    if fit.size_wh != (width, height):
        shrinks = min(fit.scale_xy) < 1  # area averaging keeps thin strokes, sampling loses them
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        image_rgb = cv2.resize(image_rgb, fit.size_wh, interpolation=method)
    if fit.size_wh == (input_hw[1], input_hw[0]):
        return image_rgb
    canvas = np.full((*input_hw, 3), GREY, np.uint8)
    (x, y), (new_width, new_height) = fit.offset_xy, fit.size_wh
    canvas[y : y + new_height, x : x + new_width] = image_rgb
    return canvas


def boxes_to_letterbox(boxes_xyxy: np.ndarray, fit: Letterbox) -> np.ndarray:
    """Take (N, 4) boxes from pixels of the image to pixels of the canvas, float32."""
    scale, offset = np.tile(fit.scale_xy, 2), np.tile(fit.offset_xy, 2)
    return (boxes_xyxy * scale + offset).astype(np.float32)


def boxes_from_letterbox(boxes_xyxy: np.ndarray, fit: Letterbox, image_hw) -> np.ndarray:
    """Take (N, 4) boxes from pixels of the canvas to pixels of the image.

    They are clipped to the image, and float32.
    """
    scale, offset = np.tile(fit.scale_xy, 2), np.tile(fit.offset_xy, 2)
    height, width = image_hw
    boxes = (boxes_xyxy - offset) / scale
    return np.clip(boxes, 0, [width, height, width, height]).astype(np.float32)
