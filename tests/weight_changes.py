"""Which weights of a model a piece of work has changed."""

import numpy as np

from yolov3.weights import state_dict


def snapshot(model) -> dict[str, np.ndarray]:
    """Copy the weights of a model."""
    return state_dict(model)


def changed_names(model, before: dict[str, np.ndarray]) -> set[str]:
    """Return the variables (conv_0/kernel ...) that differ from a snapshot."""
    return {name for name, value in snapshot(model).items() if (value != before[name]).any()}


def changed_layers(model, before: dict[str, np.ndarray]) -> set[int]:
    """Return the numbers of the layers of which any variable differs from a snapshot."""
    return {int(name.split("/")[0].split("_")[1]) for name in changed_names(model, before)}
