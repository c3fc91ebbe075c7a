"""The weights of a network as arrays by name, and back."""

import keras
import numpy as np


def named_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Return all variables by name: conv_0/kernel, bn_0/gamma, bn_0/moving_mean ..."""
    return {variable.path: variable for variable in model.variables}


def to_arrays(variables: dict) -> dict[str, np.ndarray]:
    """Copy the values of variables."""
    return {name: np.array(variable.numpy(), order="C") for name, variable in variables.items()}


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
    for name, variable in variables.items():
        variable.assign(values[name])
