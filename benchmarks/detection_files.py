"""What the engines of `detection.py` share: one network with random weights, as files."""

from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np

from benchmarks.detection_engines import EXPECTED, FOLDED, ONNX, WEIGHTS
from yolov3.darknet import save_darknet_weights
from yolov3.kernels.folding import folded_weights
from yolov3.weights import conv_layers, norm_of
from yolov3.yolov3 import build_yolov3

BRANCH_GAIN = 0.3  # of what is added to a residual, so that 23 of them do not pile up
SPREAD = 2.0  # of the raw maps, about that of a trained network


def write_files(folder, num_classes: int, tiny: bool, size: int) -> None:
    """Write Darknet weights, ONNX if installed, folded weights, and an input with its raw maps.

    The raw maps are those of the network as it is trained, with batch normalisation, in float32.
    """
    folder = Path(folder)
    model = build_yolov3(num_classes, tiny)
    image = np.random.default_rng(1).random((1, size, size, 3), np.float32)
    _draw_weights(model, image)
    save_darknet_weights(model, folder / WEIGHTS)
    if find_spec("onnx"):
        write_onnx(model, folder / ONNX, size)
    arrays = {}
    for conv in conv_layers(model):
        arrays[f"{conv.name}/kernel"], arrays[f"{conv.name}/bias"] = folded_weights(
            conv.name, model
        )
    np.savez(folder / FOLDED, **arrays)
    raw_maps = [np.asarray(raw) for raw in model(image, training=False)]
    np.savez(folder / EXPECTED, image, *raw_maps)


def write_onnx(model, path, size: int) -> None:
    """Write a network as ONNX that maps `image` (B, 3, size, size) to the raw maps.

    These are (B, A * (5 + C), G, G) each, fine to coarse. B is free.
    """
    from yolov3.export.onnx_file import FLOAT, Graph, add_network

    graph = Graph()
    raw_maps = {name: [None] * 4 for name in add_network(graph, model, "image")}
    shapes = {"image": ["B", 3, size, size]}, raw_maps
    ports = ({k: (FLOAT, v) for k, v in part.items()} for part in shapes)
    graph.save(path, *ports)


def _draw_weights(model, image) -> None:
    """Give every layer random weights and statistics, and outputs like those of a trained one."""
    rng = np.random.default_rng(0)
    branch_ends = _branch_ends(model)
    convs = conv_layers(model)
    for conv in convs:
        if norm := norm_of(model, conv):
            count = norm.gamma.shape[0]
            gain = BRANCH_GAIN if norm.name in branch_ends else 1.0
            norm.gamma.assign(gain * rng.uniform(0.7, 1.3, count))
            norm.beta.assign(rng.normal(0, 0.2, count))
            norm.moving_mean.assign(rng.normal(0, 0.2, count))
            norm.moving_variance.assign(rng.uniform(0.7, 1.5, count))
    outputs = [conv for conv in convs if conv.use_bias]
    raw_maps = model(image, training=False)
    for conv, raw in zip(outputs, raw_maps[::-1], strict=True):  # the coarse map comes first
        conv.kernel.assign(conv.kernel * (SPREAD / np.std(raw[..., 5:])))


def _branch_ends(model) -> set[str]:
    """Return the names of the batch normalisations whose output is added to a residual."""
    made_by = {layer.output.name: layer for layer in model.layers if layer.name != "image"}
    ends = set()
    for layer in model.layers:
        if isinstance(layer, keras.layers.Add):
            activation = made_by[layer.input[1].name]
            ends.add(made_by[activation.input.name].name)
    return ends
