"""Sizes of Darknet weights files, from the published architectures, and empty files of any size."""

import struct

HEADER = 20  # bytes
# As published, see model_data/README.md.
OFFICIAL_BYTES = {
    "yolov3": 248_007_048,
    "yolov3-tiny": 35_434_956,
    "darknet53.conv.74": 162_482_580,
}


def full_floats(num_classes: int) -> int:
    """Count the numbers of YOLOv3; outputs have 3 * (5 + C) filters over 1024, 512, 256 channels.

    So a class adds 3 * (1024 + 512 + 256) kernel values and 9 biases.
    """
    return 61_570_957 + 5_385 * num_classes


def tiny_floats(num_classes: int) -> int:
    """Count the numbers of YOLOv3-tiny, whose outputs are over 512 and 256 channels."""
    return 8_673_934 + 2_310 * num_classes


def empty_file(path, floats: int):
    """Write a header and zeros; the file takes no room on the disk."""
    with open(path, "wb") as stream:
        stream.write(struct.pack("<3iq", 0, 2, 0, 0))
        stream.truncate(HEADER + 4 * floats)
    return path
