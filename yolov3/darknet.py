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

import keras
import numpy as np

from yolov3.class_names import read_class_names
from yolov3.configs import ANCHORS_PER_SCALE, Config
from yolov3.files import atomic_write, regular_size
from yolov3.weights import assign_by_name, class_count, conv_layers, is_tiny, network_name, norm_of
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
# Operations of all convolutions per pixel of an image, two per multiply and add, in the same way.
OPERATIONS = {False: (377_234, 42), True: (31_437, 9)}


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
    header_bytes, floats = read_header(path)
    layers = _layers(model, num_classes)
    ends = list(accumulate(sum(map(prod, shapes.values())) for shapes in layers))
    first_output = next(i for i, shapes in enumerate(layers) if len(shapes) == 2)  # bias and kernel
    if floats not in ends[:first_output] + ends[-1:]:
        expected = f"{network_name(is_tiny(model))} weights for {num_classes} classes"
        size = f"{header_bytes + FLOAT_BYTES * ends[-1]:,} bytes"
        raise ValueError(f"{path}: expected {expected}, {size}; received {_describe(floats)}")
    weights = {}
    with open(path, "rb") as stream:
        stream.seek(header_bytes)
        for shapes in layers[: ends.index(floats) + 1]:
            for name, shape in shapes.items():
                values = np.fromfile(stream, FLOAT32, prod(shape)).reshape(shape)
                weights[name] = values.transpose(TO_KERAS) if values.ndim == 4 else values
    for name, values in weights.items():
        bad = ~np.isfinite(values) | (name.endswith("variance") & (values < 0))
        if bad.any():
            counts = f"{bad.sum():,} of {bad.size:,}"
            raise ValueError(f"{path}: {name} holds impossible numbers, {counts}: a damaged file")
    return weights


def save_darknet_weights(model: keras.Model, path) -> None:
    """Write a network of `build_yolov3` as Darknet does (version 0.2.0), complete or not at all.

    Raises ValueError for a network without batch normalisation.
    """
    names = [name for shapes in _layers(model, class_count(model)) for name in shapes]
    weights = {weight.path: weight for weight in model.weights}
    with atomic_write(path) as partial, open(partial, "wb") as stream:
        stream.write(WRITTEN_HEADER)
        for name in names:
            values = np.asarray(weights[name], FLOAT32)
            stream.write((values.transpose(TO_DARKNET) if values.ndim == 4 else values).tobytes())


def open_darknet(path, *, anchors=None) -> tuple[keras.Model, Config, list[str]]:
    """Return the network, configuration and class names of a file that holds a complete network.

    Its size tells which network it is. 80 classes are those of COCO and any others are numbered.
    The file does not say its anchors: without `anchors` they are those of the official weights.
    Raises ValueError as `load_darknet_weights`, also for a backbone alone.
    """
    floats = read_header(path)[1]
    network = identify_network(floats)
    if network is None:
        expected = "the weights of a complete YOLOv3 or YOLOv3-tiny"
        raise ValueError(f"{path}: expected {expected}; received {_describe(floats)}")
    tiny, num_classes = network
    names = [str(index) for index in range(num_classes)]
    if num_classes == COCO_CLASSES:
        names = read_class_names(COCO_NAMES)
    model = build_yolov3(num_classes, tiny, kernel_initializer="zeros")
    load_darknet_weights(model, path)
    anchors = anchors or ("yolov3-tiny-darknet" if tiny else "yolov3")
    return model, Config(tiny=tiny, anchors=anchors), names


def read_header(path) -> tuple[int, int]:
    """Return the bytes of a file's header and how many float32 follow it.

    Raises ValueError if this is no file of Darknet weights.
    """
    try:
        size = regular_size(path)
        with open(path, "rb") as stream:
            head = stream.read(VERSION.size)
    except OSError as error:
        raise ValueError(f"{path}: expected Darknet weights; received {error.strerror}") from None
    major, minor, _ = VERSION.unpack(head.ljust(VERSION.size, b"\0"))
    if not (0 <= major < MAX_VERSION and 0 <= minor < MAX_VERSION):
        expected = "Darknet weights, which start with a version"
        raise ValueError(f"{path}: expected {expected}; received a file that starts with {head!r}")
    seen_bytes = 8 if major * 10 + minor >= 2 else 4  # images seen: a size_t, formerly an int
    header_bytes = VERSION.size + seen_bytes
    floats, rest = divmod(size - header_bytes, FLOAT_BYTES)
    if rest or floats < 1:
        expected = f"a whole file, {header_bytes} bytes and {FLOAT_BYTES} for each number"
        raise ValueError(f"{path}: expected {expected}; received {size:,} bytes")
    return header_bytes, floats


def network_floats(tiny: bool, num_classes: int) -> int:
    """Count the numbers of a complete network."""
    fixed, per_class = FLOATS[tiny]
    return fixed + per_class * num_classes


def network_operations(tiny: bool, num_classes: int) -> int:
    """Count the operations of a network's convolutions, per pixel of its images."""
    fixed, per_class = OPERATIONS[tiny]
    return fixed + per_class * num_classes


def identify_network(floats: int) -> tuple[bool, int] | None:
    """Return (tiny, number of classes) of the complete network with this many numbers, or None."""
    for tiny, (fixed, per_class) in FLOATS.items():
        classes, rest = divmod(floats - fixed, per_class)
        if not rest and 1 <= classes <= MAX_CLASSES:
            return tiny, classes
    return None


def _describe(floats: int) -> str:
    """Say what a file with this many numbers seems to be."""
    if network := identify_network(floats):
        tiny, classes = network
        return f"what look like {network_name(tiny)} weights for {classes} classes"
    return f"{floats:,} numbers: a backbone alone, a file broken off, or another network"


def _layers(model, num_classes) -> list[dict[str, tuple]]:
    """List names and shapes of a file, by layer, for a network like `model` of these classes."""
    convs, layers = conv_layers(model), []
    if convs[0].use_bias:
        raise ValueError("expected a network with batch normalisation; received a folded one")
    for conv in convs:
        height, width, channels, filters = conv.kernel.shape
        norm = norm_of(model, conv)
        if norm:
            before = [norm.beta, norm.gamma, norm.moving_mean, norm.moving_variance]
        else:
            before, filters = [conv.bias], ANCHORS_PER_SCALE * (5 + num_classes)
        shapes = {weight.path: (filters,) for weight in before}
        layers.append({**shapes, conv.kernel.path: (filters, channels, height, width)})
    return layers
