"""What a file of Darknet weights holds, from its header and its size alone.

A `.weights` file is a header of 16 or 20 bytes, then float32 numbers, little-endian and without
names: only their count tells networks apart. Source: darknet's src/parser.c, load_weights_upto.
"""

import struct
from typing import NamedTuple

from yolov3.files import regular_size
from yolov3.weights.parts import network_name

VERSION = struct.Struct("<3i")  # major, minor, revision
WRITTEN_HEADER = struct.pack("<3iq", 0, 2, 0, 0)  # as the official files, with `seen` = 0 images
FLOAT_BYTES = 4
MAX_VERSION = 1000  # from here on, darknet means transposed matrices, which no YOLOv3 file has
MAX_CLASSES = 10_000  # more than any published detector has
# Numbers in a whole network of C classes: the first plus C times the second.
FLOATS = {False: (61_570_957, 5_385), True: (8_673_934, 2_310)}  # by `tiny`
BACKBONE_FLOATS = 40_620_640  # Darknet-53, conv_0 to conv_51
CLASSIFIER_FLOATS = BACKBONE_FLOATS + 1000 * 1024 + 1000
OTHER_FILES = {
    b"<": "an HTML or XML page",
    b"version https://git-lfs": "a Git LFS pointer",
    b"PK": "a zip archive, as PyTorch writes",
    b"\x89HDF": "an HDF5 file, as Keras writes",
    b"\x1f\x8b": "a gzip archive",
}


class DarknetFile(NamedTuple):
    """The size of a file's header in bytes and how many float32 follow it."""

    header_bytes: int
    floats: int


def measure(path) -> DarknetFile:
    """Read the header and the size. Raises ValueError if this is no file of Darknet weights."""
    try:
        size = regular_size(path)
        with open(path, "rb") as stream:
            head = stream.read(32)
    except OSError as error:
        raise ValueError(f"{path}: expected Darknet weights; received {error.strerror}") from None
    other = _other_kind(head)
    if other:
        raise ValueError(f"{path}: expected Darknet weights; received {size:,} bytes: {other}")
    major, minor, _ = VERSION.unpack_from(head)
    seen_bytes = 8 if major * 10 + minor >= 2 else 4  # images seen: a size_t, formerly an int
    header_bytes = VERSION.size + seen_bytes
    floats, rest = divmod(size - header_bytes, FLOAT_BYTES)
    if rest or floats < 1:
        raise ValueError(
            f"{path}: expected {header_bytes} bytes of header, then {FLOAT_BYTES} bytes a number; "
            f"received {size:,} bytes: a damaged or broken off file"
        )
    return DarknetFile(header_bytes, floats)


def identify_network(floats: int) -> tuple[bool, int] | None:
    """Return (tiny, number of classes) of the whole network with this many numbers, or None."""
    for tiny, (fixed, per_class) in FLOATS.items():
        classes, rest = divmod(floats - fixed, per_class)
        if not rest and 1 <= classes <= MAX_CLASSES:
            return tiny, classes
    return None


def describe(floats: int) -> str:
    """Say what a file with this many numbers seems to be; "" if nothing known fits."""
    if network := identify_network(floats):
        tiny, classes = network
        return f"these look like {network_name(tiny)} weights for {classes} classes"
    if floats == BACKBONE_FLOATS:
        return "this looks like the backbone of YOLOv3 alone (darknet53.conv.74)"
    if floats == CLASSIFIER_FLOATS:
        return (
            "this looks like Darknet-53 with its ImageNet classifier; "
            "darknet53.conv.74 is the file to train from"
        )
    return ""


def detect_network(path) -> tuple[bool, int]:
    """Return (tiny, number of classes) of the network that a file holds, from its size.

    Raises ValueError for any other file, also for a backbone alone, saying what it seems to be.
    """
    file = measure(path)
    network = identify_network(file.floats)
    if network is None:
        sizes = {tiny: _size(file.header_bytes, tiny, classes=80) for tiny in FLOATS}
        raise ValueError(
            f"{path}: expected the weights of a whole "
            f"YOLOv3 ({sizes[False]:,} bytes for 80 classes) or "
            f"YOLOv3-tiny ({sizes[True]:,} bytes for 80 classes); "
            f"received {file.header_bytes + FLOAT_BYTES * file.floats:,} bytes: "
            f"{describe(file.floats) or 'a file broken off, or of another network'}"
        )
    return network


def _size(header_bytes: int, tiny: bool, classes: int) -> int:
    fixed, per_class = FLOATS[tiny]
    return header_bytes + FLOAT_BYTES * (fixed + classes * per_class)


def _other_kind(head: bytes) -> str:
    """Say what a file that starts like this is; "" if it starts like Darknet weights."""
    if len(head) < VERSION.size:
        return "too short for a header"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, kind in OTHER_FILES.items():
        if start.startswith(magic):
            return kind
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        return "a text"
    if not all(0 <= number < MAX_VERSION for number in VERSION.unpack_from(head)):
        return "its header holds no version of Darknet"
    return ""
