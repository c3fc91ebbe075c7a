"""Start from weights that were trained on other data, layer by layer, by name."""

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import keras

from yolov3.checkpoints import find_checkpoint
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

COPIED = "copied"


class _Source(NamedTuple):
    """Trained weights by layer name, and what is known of them."""

    name: str
    classes: int | None  # None for a backbone alone
    anchors: tuple | None  # a file of Darknet weights does not say
    weights: dict


def transfer_weights(model: keras.Model, source, *, scope: str, anchors) -> str:
    """Copy weights of a trained network into `model`, whose number of classes may be another.

    `source` is a file of Darknet weights (complete, or a backbone alone), a checkpoint, or a folder
    of checkpoints, of which the best is taken. `scope` is "backbone", "all-but-heads" (all but the
    output convolutions) or "all". Layers that are not copied stay as they are. Returns a table that
    says what became of each layer. Raises ValueError, and copies nothing, if the source is another
    network, if more than the backbone of a checkpoint with other anchors than `anchors` is wanted,
    or with "all" if it has other classes.
    """
    trained = _read_source(Path(source), model)
    _require_fit(trained, model, scope, anchors)
    convs = conv_layers(model)
    statuses = [_status(model, conv, trained.weights, scope) for conv in convs]
    variables = {}
    for conv, status in zip(convs, statuses, strict=True):
        if status == COPIED:
            layers = filter(None, [conv, norm_of(model, conv)])
            variables |= {weight.path: weight for layer in layers for weight in layer.weights}
    weights = {name: trained.weights[name] for name in variables if name in trained.weights}
    assign_by_name(variables, weights)
    names = [conv.name for conv in convs]
    return f"weights of {source} ({scope}):\n{_table(names, statuses)}"


def _read_source(path, model) -> _Source:
    if path.is_file():
        network = identify_network(read_header(path)[1])
        classes = network[1] if network and network[0] == is_tiny(model) else None
        return _Source(str(path), classes, None, read_darknet_weights(path, model, classes))
    checkpoint = find_checkpoint(path)
    config = checkpoint.config
    if config.tiny != is_tiny(model):
        expected, received = network_name(is_tiny(model)), network_name(config.tiny)
        raise ValueError(f"{path}: expected weights of {expected}; received those of {received}")
    classes = len(checkpoint.class_names)
    return _Source(str(checkpoint.path), classes, config.anchors, checkpoint.weights())


def _require_fit(trained, model, scope, anchors):
    """Raise ValueError unless these weights can be copied that far."""
    if scope != "backbone" and trained.anchors not in (None, anchors):
        raise ValueError(
            f"{trained.name}: trained with other anchors than this run; train with the same "
            f"(--anchors {trained.name}/config.json) or copy the backbone alone "
            "(--transfer backbone)"
        )
    classes = class_count(model)
    if scope == "all" and trained.classes != classes:
        known = f"weights for {trained.classes} classes"
        received = "a backbone without classes" if trained.classes is None else known
        raise ValueError(
            f"{trained.name}: expected weights for {classes} classes, to copy all of them; "
            f"received {received}; choose all-but-heads or backbone"
        )


def _status(model, conv, weights, scope) -> str:
    if scope == "backbone" and conv not in backbone_layers(model):
        return "skipped: not in the backbone"
    if scope == "all-but-heads" and norm_of(model, conv) is None:
        return "skipped: output convolution"
    return COPIED if conv.kernel.path in weights else "skipped: not in the file"


def _table(names, statuses) -> str:
    """Return a line for neighbours of one status."""
    lines = []
    for status, group in groupby(zip(names, statuses, strict=True), key=lambda item: item[1]):
        first, *others = [name for name, _ in group]
        span = f"{first} to {others[-1]}" if others else first
        lines.append(f"  {span:<20}  {status}")
    return "\n".join(lines)
