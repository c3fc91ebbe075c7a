"""Start from weights that were trained on other data, layer by layer, by name."""

from pathlib import Path
from typing import NamedTuple

import keras

from yolov3 import weights
from yolov3.checkpoints import find_checkpoint
from yolov3.darknet import identify_network, read_darknet_weights, read_header


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
    output convolutions) or "all". Layers that are not copied stay as they are. Returns a line that
    names them. Raises ValueError, and copies nothing, if the source is another
    network, if more than the backbone of a checkpoint with other anchors than `anchors` is wanted,
    or with "all" if it has other classes.
    """
    trained = _read_source(Path(source), model)
    _require_fit(trained, model, scope, anchors)
    convs = weights.conv_layers(model)
    wanted = {
        "backbone": weights.backbone_layers(model),
        "all-but-heads": [conv for conv in convs if weights.norm_of(model, conv)],
        "all": convs,
    }[scope]
    copied = [conv for conv in wanted if conv.kernel.path in trained.weights]
    layers = [layer for conv in copied for layer in (conv, weights.norm_of(model, conv)) if layer]
    variables = {weight.path: weight for layer in layers for weight in layer.weights}
    arrays = {name: trained.weights[name] for name in variables if name in trained.weights}
    weights.assign_by_name(variables, arrays)
    others = ", ".join(conv.name for conv in convs if conv not in copied) or "none"
    counts = f"{len(copied)} of {len(convs)} convolutions"
    return f"weights of {source} ({scope}): {counts} copied; left as they were: {others}"


def _read_source(path, model) -> _Source:
    if path.is_file():
        network = identify_network(read_header(path)[1])
        classes = network[1] if network and network[0] == weights.is_tiny(model) else None
        return _Source(str(path), classes, None, read_darknet_weights(path, model, classes))
    checkpoint = find_checkpoint(path)
    config = checkpoint.config
    if config.tiny != weights.is_tiny(model):
        expected, received = map(weights.network_name, (not config.tiny, config.tiny))
        raise ValueError(f"{path}: expected weights of {expected}; received those of {received}")
    classes = len(checkpoint.class_names)
    return _Source(str(checkpoint.path), classes, config.anchors, checkpoint.weights())


def _require_fit(trained, model, scope, anchors):
    """Raise ValueError unless these weights can be copied that far."""
    if scope != "backbone" and trained.anchors not in (None, anchors):
        advice = f"give --anchors {trained.name}/config.json, or --transfer backbone"
        raise ValueError(f"{trained.name}: trained with other anchors than this run; {advice}")
    classes = weights.class_count(model)
    if scope == "all" and trained.classes != classes:
        received = "none" if trained.classes is None else trained.classes  # of a backbone alone
        what = f"weights for {classes} classes, to copy all of them; received those for {received}"
        raise ValueError(f"{trained.name}: expected {what}; choose all-but-heads or backbone")
