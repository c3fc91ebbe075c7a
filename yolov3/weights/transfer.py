"""Start from weights that were trained on other data, layer by layer, by name."""

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import keras

from yolov3.configs import TRANSFER_SCOPES as SCOPES
from yolov3.darknet import read_darknet_weights
from yolov3.weights.by_name import assign_by_name
from yolov3.weights.checkpoint_search import find_checkpoint
from yolov3.weights.darknet_file import identify_network, measure
from yolov3.weights.parts import (
    backbone_layers,
    class_count,
    conv_layers,
    is_tiny,
    network_name,
    norm_of,
)


class LayerTransfer(NamedTuple):
    """What became of a convolution and its batch normalisation."""

    layer: str  # conv_0 ...
    fate: str  # "copied", or "skipped: " and why


class TransferReport(NamedTuple):
    """What a transfer did to each layer; prints as a table, a line for neighbours of one fate."""

    source: str
    scope: str
    rows: tuple[LayerTransfer, ...]

    @property
    def copied(self) -> list[str]:
        """Names of the convolutions that were copied."""
        return [row.layer for row in self.rows if row.fate == "copied"]

    def __str__(self) -> str:
        lines = [f"weights of {self.source} ({self.scope}):"]
        for fate, rows in groupby(self.rows, key=lambda row: row.fate):
            names = [row.layer for row in rows]
            span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
            lines.append(f"  {span:<20}  {fate}")
        return "\n".join(lines)


def transfer_weights(model: keras.Model, source, scope: str) -> TransferReport:
    """Copy weights of a trained network into `model`, whose number of classes may be another.

    `source` is a file of Darknet weights (whole, or a backbone alone), a checkpoint, or a folder of
    checkpoints, whose best is taken. `scope` is "backbone", "all-but-heads" (all but the output
    convolutions) or "all". Layers that are not copied stay as they are. Raises ValueError, and
    copies nothing, if the source is another network, or with "all" has other classes or ends early.
    """
    if scope not in SCOPES:
        raise ValueError(f"scope: expected one of {', '.join(SCOPES)}; received {scope!r}")
    weights, classes = _read_source(source, model)
    if scope == "all" and classes != class_count(model):
        other = "a backbone without classes" if classes is None else f"those of {classes} classes"
        raise ValueError(
            f"{source}: expected weights for {class_count(model)} classes, to copy all of them; "
            f"received {other}; choose all-but-heads or backbone"
        )
    rows = tuple(
        LayerTransfer(conv.name, _fate(model, conv, weights, scope)) for conv in conv_layers(model)
    )
    report = TransferReport(str(source), scope, rows)
    variables = _variables(model, report.copied)
    assign_by_name(variables, {name: weights[name] for name in variables if name in weights})
    return report


def _read_source(source, model):
    """Return a source's weights by name and its number of classes, None for a backbone alone."""
    source = Path(source)
    if source.is_file():
        tiny, classes = identify_network(measure(source).floats) or (is_tiny(model), None)
    else:
        checkpoint = find_checkpoint(source)
        tiny, classes = checkpoint.config.tiny, len(checkpoint.class_names)
    if tiny != is_tiny(model):
        expected, received = network_name(is_tiny(model)), network_name(tiny)
        raise ValueError(f"{source}: expected weights of {expected}; received those of {received}")
    weights = (
        read_darknet_weights(source, model, classes) if source.is_file() else checkpoint.weights()
    )
    return weights, classes


def _fate(model, conv, weights, scope) -> str:
    if scope == "backbone" and conv not in backbone_layers(model):
        return "skipped: not in the backbone"
    if scope == "all-but-heads" and norm_of(model, conv) is None:
        return "skipped: output convolution"
    if conv.kernel.path not in weights:
        return "skipped: not in the file"
    return "copied"


def _variables(model, names) -> dict:
    """Return the variables of these convolutions and of their batch normalisation, by name."""
    convs = [model.get_layer(name) for name in names]
    norms = [norm for conv in convs if (norm := norm_of(model, conv))]
    return {weight.path: weight for layer in convs + norms for weight in layer.weights}
