"""Read digits from images named label_index, such as 7_00012.png, in a folder or a zip.

With `train` and `test` folders inside, these are the split. A flat set is split by its order: every
sixth digit goes to the test.
"""

import io
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import cv2
import numpy as np

from mnist.archives import MAX_MEMBERS, open_archive, read_member
from mnist.digit_set import MIN_INK, SIDE
from yolov3.files import read_bounded
from yolov3.images import ImageFileError, read_header

TEST_EVERY = 6
MAX_IMAGE_BYTES = 2**20  # 1 MiB as a file; a digit has less than 1 kB
MAX_IMAGE_PIXELS = 2**24  # 16 MB once decoded; a digit has 784
PARTS = ("train", "test")
NAME = re.compile(r"([0-9])_([0-9]+)\.(?:png|jpg|jpeg|bmp|tif|tiff|webp|pgm)", re.IGNORECASE)


class _Entry(NamedTuple):
    """One image; entries sort by label, then index, then full name."""

    label: int
    index: int
    name: str
    part: str
    read: Callable[[], bytes]


def read_image_folder(folder: Path) -> tuple[np.ndarray, ...]:
    """Read training images (N, 28, 28) uint8, labels (N,), and the same for the test.

    Raises ValueError for images that cannot be read and for a part without images.
    """
    entries = []
    for part in ("", *PARTS):
        if (folder / part).is_dir():
            for path in (folder / part).iterdir():
                entries += _entry(path.name, str(path), part, partial(_read_file, path))
    return _read_split(entries)


def read_image_zip(path: Path) -> tuple[np.ndarray, ...]:
    """Read the same from a zip, whose images may lie in any folder."""
    with open_archive(path) as archive:
        entries = []
        for member in archive.infolist():
            inner = PurePosixPath(member.filename)
            part = inner.parent.name if inner.parent.name in PARTS else ""
            read = partial(read_member, archive, member, MAX_IMAGE_BYTES)
            entries += _entry(inner.name, member.filename, part, read)
        return _read_split(entries)


def decode_digit(content: bytes) -> np.ndarray:
    """Decode an image file to (28, 28) uint8, white on black whatever its ink and paper were.

    The paper is the median of the border; ink is what differs from it. Raises ValueError for
    bytes that are no image, an image of absurd size, and one without ink.
    """
    try:
        read_header(io.BytesIO(content), "", MAX_IMAGE_PIXELS)
    except ImageFileError as error:
        raise ValueError(f"not an image of a digit: {error.reason}") from None
    try:
        grey = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        grey = None
    if grey is None:
        raise ValueError("not an image: it cannot be decoded")
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ink = cv2.absdiff(grey, float(np.median(border)))
    ink = ink if ink.shape == (SIDE, SIDE) else _fit(ink)
    if ink.max() < MIN_INK:
        raise ValueError("a blank image")
    return ink


def _fit(ink: np.ndarray) -> np.ndarray:
    """Centre an image in a square of its longer side, so that it keeps its shape, and resize."""
    height, width = ink.shape
    side = max(height, width)
    square = np.zeros((side, side), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = ink
    smooth = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
    return cv2.resize(square, (SIDE, SIDE), interpolation=smooth)


def _entry(name: str, full_name: str, part: str, read: Callable[[], bytes]) -> list[_Entry]:
    """Make the entry of an image, or none for a file of another name."""
    match = NAME.fullmatch(name)
    return [_Entry(int(match[1]), int(match[2]), full_name, part, read)] if match else []


def _read_split(entries: list[_Entry]) -> tuple[np.ndarray, ...]:
    if len(entries) > MAX_MEMBERS:
        raise ValueError(f"{len(entries)} images, more than {MAX_MEMBERS}")
    entries = sorted(entries, key=lambda entry: entry[:3])
    if any(entry.part for entry in entries):
        train, test = ([entry for entry in entries if entry.part == part] for part in PARTS)
    else:
        test = entries[TEST_EVERY - 1 :: TEST_EVERY]
        train = [entry for place, entry in enumerate(entries, 1) if place % TEST_EVERY]
    if not train or not test:
        raise ValueError(f"{len(train)} images for training and {len(test)} for the test")
    return *_read_entries(train), *_read_entries(test)


def _read_entries(entries: list[_Entry]) -> tuple[np.ndarray, np.ndarray]:
    images = np.empty((len(entries), SIDE, SIDE), np.uint8)
    for image, entry in zip(images, entries, strict=True):
        try:
            image[...] = decode_digit(entry.read())
        except ValueError as error:
            raise ValueError(f"{entry.name}: {error}") from None
    return images, np.array([entry.label for entry in entries], np.uint8)


def _read_file(path: Path) -> bytes:
    try:
        return read_bounded(path, MAX_IMAGE_BYTES)
    except OSError as error:
        raise ValueError(error.strerror) from None
