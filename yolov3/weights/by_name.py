"""The weights of a network as arrays by name, and back."""

import keras
import numpy as np

from yolov3.weights.darknet_file import describe, identify_network
from yolov3.weights.parts import network_name
from yolov3.yolov3 import build_yolov3


def named_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Return all variables by name: conv_0/kernel, bn_0/gamma, bn_0/moving_mean ..."""
    return {variable.path: variable for variable in model.variables}


def state_dict(variables: dict) -> dict[str, np.ndarray]:
    """Copy the values of variables."""
    return {name: np.array(variable.numpy(), order="C") for name, variable in variables.items()}


def network_with(weights: dict[str, np.ndarray], num_classes: int, tiny: bool) -> keras.Model:
    """Build the network that has these weights.

    Raises ValueError if they are those of another one, if possible before anything is built: a
    stranger's checkpoint may claim more classes than memory holds.
    """
    numbers = sum(value.size for value in weights.values())
    if identify_network(numbers) != (tiny, num_classes):
        raise ValueError(
            f"expected weights of {network_name(tiny)} for {num_classes} classes; received "
            f"{numbers:,} numbers{', ' * bool(describe(numbers))}{describe(numbers)}"
        )
    model = build_yolov3(num_classes, tiny, kernel_initializer="zeros")
    set_weights(model, weights)
    return model


def set_weights(model: keras.Model, weights: dict[str, np.ndarray]) -> None:
    """Give a model weights by name. Raises ValueError for a missing, unknown or misshapen one."""
    assign_by_name(named_variables(model), weights)


def assign_by_name(variables: dict, values: dict[str, np.ndarray]) -> None:
    """Assign arrays to the variables of the same names: all of them, or none and ValueError."""
    missing = sorted(variables.keys() - values.keys())
    unknown = sorted(values.keys() - variables.keys())
    if missing or unknown:
        raise ValueError(f"expected other weights: missing {missing[:3]}, unknown {unknown[:3]}")
    for name, variable in variables.items():
        if tuple(variable.shape) != values[name].shape:
            raise ValueError(
                f"{name}: expected shape {tuple(variable.shape)}; received {values[name].shape}"
            )
        expected = keras.backend.standardize_dtype(variable.dtype)
        if values[name].dtype != expected:
            raise ValueError(f"{name}: expected {expected}; received {values[name].dtype}")
    for name, variable in variables.items():
        variable.assign(values[name])
