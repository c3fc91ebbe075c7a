"""One image file, judged by its header and its end, before anything is decoded.

Names do not matter: a PNG called x.jpg is a PNG. Of an animation or a file of several pages, the
first image counts, as it is the one that OpenCV reads.
"""

import os
import re
import struct
import zlib
from typing import BinaryIO

from PIL import Image, ImageFile

from yolov3.files import regular_size

MISSING = "missing image"
UNREADABLE = "unreadable image"

# What OpenCV reads as well. The common ones go first: Pillow loads the other plugins on demand.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "WEBP", "TIFF", "JPEG2000")
# How their names end, where a folder is searched for them.
IMAGE_SUFFIXES = frozenset(".bmp .gif .jp2 .jpeg .jpg .pgm .png .ppm .tif .tiff .webp".split())
# 1.2 GB once decoded to 8-bit RGB, which a small machine still has. OpenCV alone would decode 2**30
# pixels, 3.2 GB, out of a file of a few bytes.
MAX_PIXELS = 20_000 * 20_000
MAX_BYTES = 2**31 - 1  # of the file: OpenCV counts them in 32 bits
ORIENTATION = 0x0112  # the EXIF tag
SIDEWAYS = (5, 6, 7, 8)  # its values for a quarter turn; OpenCV turns an image as it reads it
# A whole file holds these after its header, and compressed pixels never do: without, it is cut off.
END_MARKS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
TAIL_BYTES = 64  # where the mark is looked for first; some programs append data of their own
EXIF_BYTES = 2**17  # at the end of a PNG, where EXIF data are looked for that follow the pixels
CHUNK_BYTES = 2**20

Size = tuple[int, int]
Fault = tuple[str, str]


class ImageFileError(ValueError):
    """A file that is no usable image: MISSING or UNREADABLE, and the reason as the message."""

    def __init__(self, kind: str, reason: str):
        super().__init__(reason)
        self.kind = kind


def open_image_file(path) -> BinaryIO:
    """Open a file that may be an image. Raises ImageFileError if it is none for sure."""
    try:
        size = regular_size(path)
    except FileNotFoundError:
        raise ImageFileError(MISSING, "no such file") from None
    except OSError as error:
        raise ImageFileError(UNREADABLE, error.strerror) from None
    if not size:
        raise ImageFileError(UNREADABLE, "an empty file")
    if size > MAX_BYTES:
        raise ImageFileError(UNREADABLE, f"a file of {size:,} bytes, more than {MAX_BYTES:,}")
    try:
        return open(path, "rb")
    except OSError as error:  # no permission
        raise ImageFileError(UNREADABLE, error.strerror) from None


def read_image_header(stream: BinaryIO, max_pixels: int = MAX_PIXELS) -> Size:
    """Return (width, height) in pixels as OpenCV will read them, from an open file's header.

    Raises ImageFileError for what is no image, has too many pixels or is cut off. Only JPEG and PNG
    files tell at this point that they are cut off; others fail when they are decoded.
    """
    try:
        image = _open_header(stream)
        width, height = image.size
        if width * height > max_pixels:
            reason = f"{width:,} x {height:,} pixels, more than {max_pixels:,} in all"
            raise ImageFileError(UNREADABLE, reason)
        if _is_cut_off(stream, END_MARKS.get(image.format)):
            raise ImageFileError(UNREADABLE, "cut off before its end")
        return (height, width) if _is_sideways(image, stream) else (width, height)
    except ImageFileError:
        raise
    except Exception as error:  # a broken header makes Pillow raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageFileError(UNREADABLE, reason) from None


def read_size(path: str) -> Size | Fault:
    """Return (width, height) in pixels as OpenCV will read them, or (kind, reason) if it cannot."""
    try:
        with open_image_file(path) as stream:
            return read_image_header(stream)
    except ImageFileError as fault:
        return fault.kind, str(fault)


def _open_header(stream: BinaryIO) -> ImageFile.ImageFile:
    """Do as `Image.open`, but for its limit of pixels, which is lower and for the whole process."""
    Image.preinit()
    start, reason = stream.read(16), "not a known image format"
    for name in FORMATS:
        if name not in Image.OPEN:
            Image.init()
        factory, accepts = Image.OPEN[name]
        try:
            if accepts(start) is True:
                reason = f"a broken {name} header"
                stream.seek(0)
                return factory(stream, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue  # as Image.open does: it may be of another format
    raise ImageFileError(UNREADABLE, reason)


def _is_sideways(image: ImageFile.ImageFile, stream: BinaryIO) -> bool:
    exif, data = Image.Exif(), image.info.get("exif")
    if data is None and image.format == "PNG":
        data = _late_exif(stream)  # image.getexif() would decode a PNG to look for it
    try:
        exif.load(data)
    except Exception:  # broken EXIF data are common, and OpenCV ignores them
        return False
    return exif.get(ORIENTATION) in SIDEWAYS and not _is_animated(image)


def _late_exif(stream: BinaryIO) -> bytes | None:
    """Return the EXIF data of a PNG that come after its pixels, as some programs write them."""
    end = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, end - EXIF_BYTES))
    tail = stream.read()
    if b"eXIf" not in tail:
        return None
    tail = tail.partition(END_MARKS["PNG"])[0]
    for match in re.finditer(b"eXIf", tail):
        start = match.end()
        stop = start + int.from_bytes(tail[max(0, start - 8) : start - 4], "big")
        checksum = zlib.crc32(tail[start - 4 : stop])
        if tail[stop : stop + 4] == checksum.to_bytes(4, "big"):
            return tail[start:stop]
    return None


def _is_animated(image: ImageFile.ImageFile) -> bool:
    """Tell whether this is an animation, which OpenCV does not turn; a JPEG of several it does."""
    return image.format in ("PNG", "WEBP") and getattr(image, "n_frames", 1) > 1


def _is_cut_off(stream: BinaryIO, mark: bytes | None) -> bool:
    """Tell whether a file whose header was just read lacks the mark of its end."""
    if mark is None:
        return False
    behind_header = stream.tell()  # a thumbnail in the header has an end of its own
    end = stream.seek(0, os.SEEK_END)
    stream.seek(max(behind_header, end - TAIL_BYTES))
    if mark in stream.read():
        return False
    stream.seek(behind_header)
    before = b""
    while chunk := stream.read(CHUNK_BYTES):
        if mark in before + chunk:
            return False
        before = (before + chunk)[-len(mark) + 1 :]
    return True
