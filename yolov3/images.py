"""Read and write image files, letterbox images, and take boxes into the letterbox and back.

Pillow reads the header of a file, without decoding; OpenCV decodes, 1.6 times (PNG) to 2.7 times
(JPEG) as fast as Pillow. Sizes and pixels agree as the orientation is read in one place. Names do
not matter: a PNG called x.jpg is a PNG. Of an animation or several pages, the first image counts.
"""

import contextlib
import ctypes
import logging
import os
import re
import threading
import warnings
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from yolov3.files import write_whole
from yolov3.shards import find_image, open_image

MISSING = "missing image"
UNREADABLE = "unreadable image"

# What OpenCV reads as well. The common ones go first: Pillow loads the other plugins on demand.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "WEBP", "TIFF", "JPEG2000", "AVIF")
IMAGE_SUFFIXES = frozenset(  # where a folder is searched for them
    ".apng .avif .bmp .dib .gif .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg .jpx .mpo .pbm .pgm "
    ".png .pnm .ppm .tif .tiff .webp".split()
)
MAX_BYTES = 2**31 - 1  # of the file: OpenCV counts them in 32 bits
# A complete file has these after its header, and compressed pixels never: without, it is cut off.
END_MARKS = {"JPEG": b"\xff\xd9", "JPEG2000": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
TAIL_BYTES = 64  # where the mark is looked for first; some programs append data of their own

ORIENTATION = 0x0112  # the EXIF tag; from 5 on rows and columns are swapped first
SAMPLE_FORMAT, BITS_PER_SAMPLE = 339, 258  # tags of TIFF; sample formats 1 and 4 have no sign
NO_BRIGHTNESS = "numbers whose brightness is not defined: with a sign, a fraction or over 16 bits"
# A frame of a JPEG that is lossless, hierarchical or coded arithmetically.
RARE_JPEG = re.compile(rb"\xff[\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]\0.\x08", re.DOTALL)
FLIP_CODES = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}  # then the image is flipped: as cv2.flip has it
GREY = 128  # fills what the image does not cover
# What cannot be read is an error here, and odd metadata do no harm: neither library prints.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


class ImageFileError(ValueError):
    """A file that is no usable image: MISSING or UNREADABLE as kind, and the reason."""

    def __init__(self, path, kind: str, reason: str):
        received = "there is" if kind == MISSING else "received"
        super().__init__(f"{path}: expected an image; {received} {reason}")
        self.kind, self.reason = kind, reason


class Letterbox(NamedTuple):
    """Where an image lies in the input: x_input = x_image * scale_xy + offset_xy."""

    size_wh: tuple[int, int]  # of the resized image, pixels of the input
    offset_xy: tuple[int, int]  # of its top left corner, pixels of the input
    scale_xy: tuple[float, float]  # exactly size_wh / image size, so the round trip is exact


def read_image(path) -> np.ndarray:
    """Read an image as RGB uint8 (H, W, 3), upright as its EXIF orientation says.

    Grey, RGBA, 16-bit and CMYK files come out as 8-bit RGB. Raises ImageFileError for a file that
    is missing, no image, or cut off, and before decoding it for more pixels than Pillow takes,
    178,956,970: OpenCV would decode 3 GB out of a file of a few bytes.
    """
    with _open(path) as stream:
        image, orientation = _read_header(stream, path)
        image_rgb = _decode(stream, image, path)
    if orientation >= 5:
        image_rgb = cv2.transpose(image_rgb)
    if orientation in FLIP_CODES:
        image_rgb = cv2.flip(image_rgb, FLIP_CODES[orientation])
    return image_rgb


def read_image_size(path) -> tuple[int, int]:
    """Return (width, height) in pixels of the image that `read_image` would read.

    Raises ImageFileError as that does. JPEG, PNG and WebP are known by their headers and ends, all
    others are decoded: only damage amid the pixels of those three stays unseen.
    """
    with _open(path) as stream:
        image, orientation = _read_header(stream, path)
        if not _is_surely_decoded(stream, image):
            _decode(stream, image, path)
    return image.size[::-1] if orientation >= 5 else image.size


def write_image(path, image_rgb: np.ndarray) -> None:
    """Write RGB uint8 (H, W, 3) in the format of the file name's extension; make the folder.

    Raises ValueError for an extension that names no format and for a format that does not hold
    such an image, OSError that names the file where it cannot be written.
    """
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    try:
        is_encoded, data = cv2.imencode(Path(path).suffix, image_bgr)
    except cv2.error:
        is_encoded = False
    if not is_encoded:
        held = "in a format that holds {1}x{0} pixels in colour".format(*image_rgb.shape)
        raise ValueError(f"{path}: expected an image's name (.png, .jpg ...) {held}")
    write_whole(Path(path), data.tobytes())


class _QuietLibraries:
    """Keep libpng and libjpeg, which print to what C calls `stderr`, quiet in decoding threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._threads = 0
        self._c_stderr = ctypes.c_void_p()
        nowhere = None
        with contextlib.suppress(OSError, TypeError, ValueError):  # no C library that has it
            c_library = ctypes.CDLL(None)
            c_library.fopen.restype = ctypes.c_void_p
            self._c_stderr = ctypes.c_void_p.in_dll(c_library, "stderr")
            nowhere = c_library.fopen(os.devnull.encode(), b"w")
        self._loud = self._c_stderr.value
        self._quiet = nowhere or self._loud

    def __enter__(self):
        self._count(1)

    def __exit__(self, *_):
        self._count(-1)

    def _count(self, change: int) -> None:
        """Count the threads that decode: while there are some, the libraries are quiet."""
        with self._lock:
            self._threads += change
            self._c_stderr.value = self._quiet if self._threads else self._loud


_quiet_libraries = _QuietLibraries()


def letterbox_params(image_hw, input_hw) -> Letterbox:
    """Fit an image of (height, width) centred into an input of (height, width); keep its aspect."""
    (height, width), (input_height, input_width) = image_hw, input_hw
    scale = min(input_width / width, input_height / height)
    new_width = max(1, min(input_width, round(width * scale)))
    new_height = max(1, min(input_height, round(height * scale)))
    offset_xy = ((input_width - new_width) // 2, (input_height - new_height) // 2)
    scale_xy = (new_width / width, new_height / height)
    return Letterbox((new_width, new_height), offset_xy, scale_xy)


def resize(image_rgb: np.ndarray, size_wh) -> np.ndarray:
    """Resize uint8 (H, W, 3) to (width, height): by area averaging where a side shrinks."""
    width, height = size_wh
    if image_rgb.shape[:2] == (height, width):
        return image_rgb
    shrinks = width < image_rgb.shape[1] or height < image_rgb.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR  # sampling would lose thin strokes
    return cv2.resize(image_rgb, (width, height), interpolation=method)


def letterbox(image_rgb: np.ndarray, input_hw) -> np.ndarray:
    """Resize uint8 (H, W, 3) to fit into `input_hw`, on grey (h, w, 3) uint8."""
    fit = letterbox_params(image_rgb.shape[:2], input_hw)
    image_rgb = resize(image_rgb, fit.size_wh)
    if fit.size_wh == (input_hw[1], input_hw[0]):
        return image_rgb
    filled = np.full((*input_hw, 3), GREY, np.uint8)
    (x, y), (new_width, new_height) = fit.offset_xy, fit.size_wh
    filled[y : y + new_height, x : x + new_width] = image_rgb
    return filled


def boxes_to_letterbox(boxes_xyxy: np.ndarray, fit: Letterbox) -> np.ndarray:
    """Take (N, 4) boxes from pixels of the image to pixels of the input, float32."""
    scale, offset = np.tile(fit.scale_xy, 2), np.tile(fit.offset_xy, 2)
    return (boxes_xyxy * scale + offset).astype(np.float32)


def boxes_from_letterbox(boxes_xyxy: np.ndarray, fit: Letterbox, image_hw) -> np.ndarray:
    """Take (N, 4) boxes from pixels of the input to pixels of the image, clipped to it."""
    scale, offset = np.tile(fit.scale_xy, 2), np.tile(fit.offset_xy, 2)
    height, width = image_hw
    boxes = (boxes_xyxy - offset) / scale
    return np.clip(boxes, 0, [width, height, width, height]).astype(np.float32)


def _open(path) -> BinaryIO:
    """Open a file that may be an image. Raises ImageFileError if it cannot be one."""
    try:
        place = find_image(path)
        if not place.size:
            raise _unreadable(path, "an empty file")
        if place.size > MAX_BYTES:
            raise _unreadable(path, f"a file of {place.size:,} bytes, more than {MAX_BYTES:,}")
        return open_image(place)
    except FileNotFoundError:
        raise ImageFileError(path, MISSING, "no such file") from None
    except OSError as error:  # a folder, a pipe, no permission
        raise ImageFileError(path, UNREADABLE, error.strerror) from None


def _read_header(stream: BinaryIO, path) -> tuple[Image.Image, int]:
    """Return an image, not decoded yet, and its EXIF orientation (1 to 8); `path` is for errors."""
    try:
        image = Image.open(stream, formats=FORMATS)
    except UnidentifiedImageError:
        raise _unreadable(path, "not a known image format, or a broken header") from None
    except Exception as error:  # a broken header makes Pillow raise nearly anything
        raise _unreadable(path, error) from None
    behind_header = stream.tell()
    if image.format in END_MARKS and _is_cut_off(stream, END_MARKS[image.format]):
        raise _unreadable(path, "cut off before its end")
    stream.seek(behind_header)
    if _has_no_brightness(image):
        raise _unreadable(path, NO_BRIGHTNESS)
    return image, _orientation(image)


def _decode(stream: BinaryIO, image: Image.Image, path) -> np.ndarray:
    """Return the pixels of an image whose header was read, RGB uint8 (H, W, 3), as stored.

    Pillow reads what OpenCV refuses, as a TIFF in tiles, or does not scale: a PPM of numbers up to
    100. Raises ImageFileError.
    """
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        stream.seek(0)
        data = np.frombuffer(stream.read(), np.uint8)  # unlike imread, opens any file name
        with _quiet_libraries:
            image_rgb = None if image.format == "PPM" else cv2.imdecode(data, flags)
            if image_rgb is None:
                if image.mode.startswith("I"):  # 16 bits
                    image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
                image_rgb = np.array(image.convert("RGB"))
    except Exception as error:  # the disk or the memory fails, or a library objects
        raise _unreadable(path, getattr(error, "err", error)) from None
    if image_rgb.shape != (*image.size[::-1], 3):
        raise _unreadable(path, "pixels of another size than the header says")
    return image_rgb


def _has_no_brightness(image: Image.Image) -> bool:
    """Tell whether pixels are measurements, of which nobody knows what is black and white."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    is_signed = not {1, 4} >= set(tags.get(SAMPLE_FORMAT, ()))
    return image.mode == "F" or is_signed or max(tags.get(BITS_PER_SAMPLE, (1,))) > 16


def _is_surely_decoded(stream: BinaryIO, image: Image.Image) -> bool:
    """Tell whether every library decodes such an image, if its header and its end are sound."""
    if image.format != "JPEG":
        return image.format in ("PNG", "WEBP")  # Pillow opens no WebP that is cut off
    size = stream.tell()
    stream.seek(0)
    return not RARE_JPEG.search(stream.read(size))


def _unreadable(path, error: object) -> ImageFileError:
    """Put what a library said in one line."""
    return ImageFileError(path, UNREADABLE, " ".join(str(error).split()) or type(error).__name__)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 where there is none. Both libraries turn a TIFF themselves."""
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif"))  # image.getexif() would decode a PNG to look for it
        orientation = exif.get(ORIENTATION)
    except Exception:  # broken EXIF data are common, and say nothing about the pixels
        return 1
    return orientation if orientation in range(1, 9) else 1


def _is_cut_off(stream: BinaryIO, mark: bytes) -> bool:
    """Tell whether a file whose header was just read lacks the mark of its end."""
    behind_header = stream.tell()  # a thumbnail in the header has an end of its own
    end = stream.seek(0, os.SEEK_END)
    for start in (max(behind_header, end - TAIL_BYTES), behind_header):
        stream.seek(start)
        if mark in stream.read():
            return False
    return True
