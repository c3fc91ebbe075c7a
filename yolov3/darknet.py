"""Darknet weights: read, write, and open as a detector.

A file is a header of 16 or 20 bytes, then float32 numbers, little-endian and without names: only
their count tells networks apart. They hold the layers in the order of the cfg. With batch
normalisation: beta, gamma, mean, variance, kernel; an output convolution: bias, kernel. Kernels are
(out, in, height, width). A file may end early, after any layer before the first output convolution:
darknet's `partial` command makes such files (darknet53.conv.74, yolov3-tiny.conv.15). Source:
darknet's src/parser.c, load_weights_upto and load_convolutional_weights.
"""

import struct
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from yolov3.annotations import read_class_names
from yolov3.configs import ANCHORS_PER_SCALE, Config
from yolov3.files import atomic_write, regular_size
from yolov3.weights import (
    assign_by_name,
    class_count,
    conv_layers,
    is_tiny,
    network_name,
    norm_of,
)
from yolov3.yolov3 import build_yolov3

COCO_NAMES = Path(__file__).with_name("coco.names")
COCO_CLASSES = 80
FLOAT32 = np.dtype("<f4")
TO_KERAS = (2, 3, 1, 0)  # kernels: (out, in, height, width) -> (height, width, in, out)
TO_DARKNET = (3, 2, 0, 1)
VERSION = struct.Struct("<3i")  # major, minor, revision
WRITTEN_HEADER = struct.pack("<3iq", 0, 2, 0, 0)  # as the official files, with `seen` = 0 images
FLOAT_BYTES = 4
MAX_VERSION = 1000  # from here on, darknet means transposed matrices, which no YOLOv3 file has
MAX_CLASSES = 10_000  # more than any published detector has
# Numbers in a complete network of C classes: the first plus C times the second.
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


class _Part(NamedTuple):
    """One array of a file."""

    name: str  # conv_0/kernel ...
    shape: tuple[int, ...]  # in the file


def load_darknet_weights(model: keras.Model, path) -> list[str]:
    """Give a network of `build_yolov3` the weights of a file; return the names of its convolutions.

    These are all, or the first ones where the file ends early. Raises ValueError for a file that
    does not fit, saying what it seems to be; then nothing is assigned.
    """
    weights = read_darknet_weights(path, model)
    variables = {weight.path: weight for weight in model.weights if weight.path in weights}
    assign_by_name(variables, weights)
    return [conv.name for conv in conv_layers(model) if conv.kernel.path in weights]


def read_darknet_weights(path, model: keras.Model, num_classes: int | None = None) -> dict:
    """Read a file into arrays by name (conv_0/kernel ...), shaped as in `model`.

    `num_classes` is that of the file, where it differs from the model's. Raises ValueError as
    `load_darknet_weights`.
    """
    num_classes = num_classes or class_count(model)
    file = read_header(path)
    parts = _parts_in_file(path, file, _layout(model, num_classes), is_tiny(model), num_classes)
    numbers = np.fromfile(path, FLOAT32, count=file.floats, offset=file.header_bytes)
    ends = list(accumulate(prod(part.shape) for part in parts))
    weights = {}
    for (name, shape), values in zip(parts, np.split(numbers, ends[:-1]), strict=True):
        bad = ~np.isfinite(values) | (name.endswith("variance") & (values < 0))
        if bad.any():
            counts = f"{bad.sum():,} of {bad.size:,}"
            raise ValueError(f"{path}: {name} holds impossible numbers, {counts}: a damaged file")
        values = values.reshape(shape)
        weights[name] = values.transpose(TO_KERAS) if values.ndim == 4 else values
    return weights


def save_darknet_weights(model: keras.Model, path) -> None:
    """Write a network of `build_yolov3` as Darknet does (version 0.2.0), complete or not at all.

    Raises ValueError for a network without batch normalisation.
    """
    parts = sum(_layout(model, class_count(model)), [])
    weights = {weight.path: weight for weight in model.weights}
    with atomic_write(path) as partial, open(partial, "wb") as stream:
        stream.write(WRITTEN_HEADER)
        for part in parts:
            values = np.asarray(weights[part.name], FLOAT32)
            stream.write((values.transpose(TO_DARKNET) if values.ndim == 4 else values).tobytes())


def open_darknet(path, *, anchors=None) -> tuple[keras.Model, Config, list[str]]:
    """Return the network, configuration and class names of a file that holds a complete network.

    80 classes are those of COCO and any others are numbered. The file does not say its anchors:
    without `anchors` they are those of the official weights. Raises ValueError as
    `load_darknet_weights`.
    """
    tiny, num_classes = detect_network(path)
    names = [str(index) for index in range(num_classes)]
    if num_classes == COCO_CLASSES:
        names = read_class_names(COCO_NAMES)
    model = build_yolov3(num_classes, tiny, kernel_initializer="zeros")
    load_darknet_weights(model, path)
    anchors = anchors or ("yolov3-tiny-darknet" if tiny else "yolov3")
    return model, Config(tiny=tiny, anchors=anchors), names


def read_header(path) -> DarknetFile:
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
    """Return (tiny, number of classes) of the complete network with this many numbers, or None."""
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
    file = read_header(path)
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


def _layout(model, num_classes) -> list[list[_Part]]:
    """List the parts of a file, layer by layer, for a network like `model` with other classes."""
    convs, layout = conv_layers(model), []
    if convs[0].use_bias:
        raise ValueError("expected a network with batch normalisation; received a folded one")
    for conv in convs:
        height, width, channels, filters = conv.kernel.shape
        norm = norm_of(model, conv)
        if norm:
            before = [norm.beta, norm.gamma, norm.moving_mean, norm.moving_variance]
        else:
            before, filters = [conv.bias], ANCHORS_PER_SCALE * (5 + num_classes)
        kernel = _Part(conv.kernel.path, (filters, channels, height, width))
        layout.append([*(_Part(weight.path, (filters,)) for weight in before), kernel])
    return layout


def _parts_in_file(path, file, layout, tiny, num_classes) -> list[_Part]:
    """Return the parts that fill the file, all or the first ones. Raises ValueError if none do."""
    ends = list(accumulate(sum(prod(part.shape) for part in parts) for parts in layout))
    first_output = next(i for i, parts in enumerate(layout) if len(parts) == 2)  # bias and kernel
    if file.floats in ends[:first_output] + ends[-1:]:
        return sum(layout[: ends.index(file.floats) + 1], [])
    guess = describe(file.floats)
    if not guess and file.floats > ends[-1]:
        guess = f"{file.floats - ends[-1]:,} numbers too many"
    elif not guess:
        guess = f"a file broken off in conv_{sum(end <= file.floats for end in ends)}"
    expected, received = (file.header_bytes + FLOAT_BYTES * n for n in (ends[-1], file.floats))
    raise ValueError(
        f"{path}: expected {network_name(tiny)} weights for {num_classes} classes, "
        f"{expected:,} bytes; received {received:,} bytes: {guess}"
    )


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
