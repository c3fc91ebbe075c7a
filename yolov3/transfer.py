"""Start from weights that were trained on other data, layer by layer, by name."""

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import keras

from yolov3.checkpoints import find_checkpoint
from yolov3.configs import TRANSFER_SCOPES
from yolov3.darknet import identify_network, read_darknet_weights, read_header
from yolov3.weights import (
    assign_by_name,
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
    status: str  # "copied", or "skipped: " and why


class TransferReport(NamedTuple):
    """What a transfer did to each layer; prints as a table, a line for neighbours of one status."""

    source: str
    scope: str
    rows: tuple[LayerTransfer, ...]

    @property
    def copied(self) -> list[str]:
        """Names of the convolutions that were copied."""
        return [row.layer for row in self.rows if row.status == "copied"]

    def __str__(self) -> str:
        lines = [f"weights of {self.source} ({self.scope}):"]
        for status, rows in groupby(self.rows, key=lambda row: row.status):
            names = [row.layer for row in rows]
            span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
            lines.append(f"  {span:<20}  {status}")
        return "\n".join(lines)


def transfer_weights(model: keras.Model, source, *, scope: str, anchors) -> TransferReport:
    """Copy weights of a trained network into `model`, whose number of classes may be another.

    `source` is a file of Darknet weights (complete, or a backbone alone), a checkpoint, or a folder
    of checkpoints, of which the best is taken. `scope` is "backbone", "all-but-heads" (all but the
    output convolutions) or "all". Layers that are not copied stay as they are. Raises ValueError,
    and copies nothing, if the source is another network, if more than the backbone of a checkpoint
    with other anchors than `anchors` is wanted, or with "all" if it has other classes.
    """
    if scope not in TRANSFER_SCOPES:
        raise ValueError(f"scope: expected one of {', '.join(TRANSFER_SCOPES)}; received {scope!r}")
    trained = _read_source(source, model)
    if scope != "backbone" and trained.anchors not in (None, anchors):
        raise ValueError(
            f"{trained.name}: trained with other anchors than this run; train with the same "
            f"(--anchors {trained.name}/config.json) or copy the backbone alone "
            "(--transfer backbone)"
        )
    if scope == "all" and trained.classes != class_count(model):
        raise ValueError(
            f"{source}: expected weights for {class_count(model)} classes, to copy all of them; "
            f"received {trained.contents}; choose all-but-heads or backbone"
        )
    rows = tuple(
        LayerTransfer(conv.name, _status(model, conv, trained.weights, scope))
        for conv in conv_layers(model)
    )
    report = TransferReport(str(source), scope, rows)
    variables = _variables(model, report.copied)
    weights = {name: trained.weights[name] for name in variables if name in trained.weights}
    assign_by_name(variables, weights)
    return report


class _Source(NamedTuple):
    """Trained weights by layer name, and what is known of them."""

    name: str
    weights: dict
    classes: int | None  # None for a backbone alone
    anchors: tuple | None  # a file of Darknet weights does not say

    @property
    def contents(self) -> str:
        if self.classes is None:
            return "a backbone without classes"
        return f"weights for {self.classes} classes"


def _read_source(source, model) -> _Source:
    path = Path(source)
    if path.is_file():
        tiny, classes = identify_network(read_header(path).floats) or (is_tiny(model), None)
        _require_network(source, tiny, model)
        return _Source(str(path), read_darknet_weights(path, model, classes), classes, None)
    checkpoint = find_checkpoint(path)
    config, classes = checkpoint.config, len(checkpoint.class_names)
    _require_network(source, config.tiny, model)
    return _Source(str(checkpoint.path), checkpoint.weights(), classes, config.anchors)


def _require_network(source, tiny, model):
    if tiny != is_tiny(model):
        expected, received = network_name(is_tiny(model)), network_name(tiny)
        raise ValueError(f"{source}: expected weights of {expected}; received those of {received}")


def _status(model, conv, weights, scope) -> str:
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
