"""Darknet weights: read, write, and open as a detector.

A file holds the layers in the order of the cfg. With batch normalisation: beta, gamma, mean,
variance, kernel; an output convolution: bias, kernel. Kernels are (out, in, height, width). A file
may end early, after any layer before the first output convolution: darknet's `partial` command
makes such files (darknet53.conv.74, yolov3-tiny.conv.15). Source: darknet's src/parser.c,
load_convolutional_weights.
"""

import os
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from yolov3.annotations import read_class_names
from yolov3.configs import ANCHORS_PER_SCALE, Config
from yolov3.weights.by_name import assign_by_name
from yolov3.weights.darknet_file import (
    FLOAT_BYTES,
    WRITTEN_HEADER,
    describe,
    detect_network,
    measure,
)
from yolov3.weights.parts import class_count, conv_layers, is_tiny, network_name, norm_of
from yolov3.yolov3 import build_yolov3

__all__ = [
    "detect_network",
    "load_darknet_weights",
    "open_darknet",
    "read_darknet_weights",
    "save_darknet_weights",
]

COCO_NAMES = Path(__file__).with_name("coco.names")
COCO_CLASSES = 80
FLOAT32 = np.dtype("<f4")
TO_KERAS = (2, 3, 1, 0)  # kernels: (out, in, height, width) -> (height, width, in, out)
TO_DARKNET = (3, 2, 0, 1)


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
    file = measure(path)
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
    """Write a network of `build_yolov3` as Darknet does (version 0.2.0), whole or not at all.

    Raises ValueError for a network without batch normalisation.
    """
    path = Path(path)
    parts = sum(_layout(model, class_count(model)), [])
    weights = {weight.path: weight for weight in model.weights}
    aside = path.with_name(f".{path.name}.partial")
    with open(aside, "wb") as stream:
        stream.write(WRITTEN_HEADER)
        for part in parts:
            values = np.asarray(weights[part.name], FLOAT32)
            stream.write((values.transpose(TO_DARKNET) if values.ndim == 4 else values).tobytes())
    os.replace(aside, path)


def open_darknet(path, *, anchors=None) -> tuple[keras.Model, Config, list[str]]:
    """Return the network, configuration and class names of a file that holds a whole network.

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
