"""MP4 files whose frames are shown at any times: the tables of a file of OpenCV are rewritten."""

import struct
from pathlib import Path

import cv2
import numpy as np

FPS, SIZE_HW = 30, (48, 64)
MEDIA = ("moov", "trak", "mdia")


def write_timed_video(path: Path, greys, steps, rotate: bool = False) -> None:
    """Write a frame of each grey, shown for each of `steps` in seconds; filmed upright or not."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FPS, SIZE_HW[::-1])
    for grey in greys:
        writer.write(np.full((*SIZE_HW, 3), grey, np.uint8))
    writer.release()
    data = bytearray(path.read_bytes())
    units = _number(data, _find(data, *MEDIA, "mdhd") + 12)  # per second
    durations = [round(step * units) for step in steps]
    body = b"".join(struct.pack(">II", 1, duration) for duration in durations)
    _replace(data, (*MEDIA, "minf", "stbl", "stts"), struct.pack(">II", 0, len(steps)) + body)
    _put(data, _find(data, *MEDIA, "mdhd") + 16, sum(durations))
    milliseconds = round(1000 * sum(steps))
    _put(data, _find(data, "moov", "mvhd") + 16, milliseconds)
    _put(data, _find(data, "moov", "trak", "tkhd") + 20, milliseconds)
    _put(data, _find(data, "moov", "trak", "edts", "elst") + 8, milliseconds)
    if rotate:
        matrix = _find(data, "moov", "trak", "tkhd") + 40
        turn = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, SIZE_HW[0] << 16, 0, 1 << 30)
        data[matrix : matrix + len(turn)] = turn
    path.write_bytes(data)


def _find(data, *names: str) -> int:
    """Return where the content of a box begins."""
    position = 0
    for name in names:
        while data[position + 4 : position + 8] != name.encode():
            position += _number(data, position)
        position += 8
    return position


def _replace(data, names, content: bytes) -> None:
    start = _find(data, *names)
    end = start - 8 + _number(data, start - 8)
    for depth in range(1, len(names) + 1):
        size = _find(data, *names[:depth]) - 8
        _put(data, size, _number(data, size) + len(content) - (end - start))
    data[start:end] = content


def _number(data, position: int) -> int:
    return struct.unpack_from(">I", data, position)[0]


def _put(data, position: int, number: int) -> None:
    struct.pack_into(">I", data, position, number)
