"""The layers of a network in darknet's order, and its weights as arrays by layer name."""

import keras
import numpy as np

# Convolutions of the feature extractor, which come first in both networks. Darknet-53 has 52: the
# 53rd layer of its name is the ImageNet classifier. Tiny's ends with the 1024 filters of conv_6.
BACKBONE_CONVS = {"yolov3": 52, "yolov3_tiny": 7}


def conv_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the convolutions conv_0, conv_1 ... in the order of darknet's cfg.

    They are `Conv2D`, but for some in a folded network: see `kernels.folding`.
    """
    convs = [layer for layer in model.layers if layer.name.startswith("conv_")]
    return sorted(convs, key=lambda layer: int(layer.name.removeprefix("conv_")))


def norm_of(model: keras.Model, conv: keras.layers.Conv2D) -> keras.layers.Layer | None:
    """Return the batch normalisation behind a convolution, None for an output convolution."""
    return None if conv.use_bias else model.get_layer(conv.name.replace("conv", "bn"))


def backbone_layers(model: keras.Model) -> list[keras.layers.Conv2D]:
    """Return the backbone's convolutions: conv_0 to conv_51, in YOLOv3-tiny conv_0 to conv_6."""
    return conv_layers(model)[: BACKBONE_CONVS[model.name]]


def freeze_backbone(model: keras.Model, frozen: bool = True) -> None:
    """Keep the backbone as it is, or let it learn again.

    A frozen one has no gradients, and its batch normalisation is in inference mode. A `tf.function`
    that trains the model must be traced again afterwards.
    """
    for conv in backbone_layers(model):
        for layer in filter(None, (conv, norm_of(model, conv))):
            layer.trainable = not frozen


def network_name(tiny: bool) -> str:
    """Name a network, for people."""
    return "YOLOv3-tiny" if tiny else "YOLOv3"


def class_count(model: keras.Model) -> int:
    """Return how many classes a network of `build_yolov3` tells apart."""
    return model.outputs[0].shape[-1] - 5


def is_tiny(model: keras.Model) -> bool:
    """Tell YOLOv3-tiny, with two scales, from YOLOv3, with three."""
    return len(model.outputs) == 2


def state_dict(source) -> dict[str, np.ndarray]:
    """Copy weights by name: conv_0/kernel, bn_0/gamma, bn_0/moving_mean ...

    `source` is a model, or a dictionary of variables.
    """
    return {name: np.array(value.numpy(), order="C") for name, value in _variables(source).items()}


def load_state_dict(model: keras.Model, weights: dict[str, np.ndarray]) -> None:
    """Give a model weights by name. Raises ValueError for a missing, unknown or misshapen one."""
    assign_by_name(_variables(model), weights)


def assign_by_name(variables: dict, values: dict[str, np.ndarray]) -> None:
    """Assign arrays to the variables of the same names: all of them, or none and ValueError."""
    missing = sorted(variables.keys() - values.keys())
    unknown = sorted(values.keys() - variables.keys())
    if missing or unknown:
        raise ValueError(f"expected other weights: missing {missing[:3]}, unknown {unknown[:3]}")
    for name, variable in variables.items():
        expected = f"{keras.backend.standardize_dtype(variable.dtype)} {tuple(variable.shape)}"
        received = f"{values[name].dtype} {values[name].shape}"
        if received != expected:
            raise ValueError(f"{name}: expected {expected}; received {received}")
    for name, variable in variables.items():
        variable.assign(values[name])


def _variables(source) -> dict:
    if isinstance(source, keras.Model):
        return {variable.path: variable for variable in source.variables}
    return source
