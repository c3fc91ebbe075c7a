"""Replace the layers of a network by faster ones that compute the same, for training."""

import keras

from yolov3.kernels import convolution
from yolov3.kernels.batch_norm import FusedBatchNormalization
from yolov3.kernels.convolution import MatmulGradientConv2D


def for_training(model: keras.Model, dtype: str = "float32") -> keras.Model:
    """Return a network like `model`, layer names included, that trains faster.

    Its weights are copies of those of `model`. `dtype` is the Keras dtype policy to compute in; the
    outputs stay float32.
    """
    fast = clone(model, lambda layer: _fast(layer, dtype_of(layer, model, dtype)))
    for ours, theirs in zip(fast.variables, model.variables, strict=True):
        ours.assign(theirs)
    return fast


def clone(model: keras.Model, replace, call=None) -> keras.Model:
    """Return `model` with each layer replaced by `replace(layer)`, and its own input."""
    return keras.models.clone_model(model, clone_function=replace, call_function=call)


def dtype_of(layer, model: keras.Model, dtype: str) -> str:
    """Return the dtype policy of a replaced layer: that of `model` for its outputs."""
    return layer.dtype_policy.name if layer.name in model.output_names else dtype


def like(layer, kind=None, **changes):
    """Return a layer of another kind, or of the same, with the configuration of `layer`.

    A kernel starts as zeros: to draw random numbers takes seconds, and it is given another's.
    """
    config = {**layer.get_config(), **changes}
    if "kernel_initializer" in config:
        config["kernel_initializer"] = "zeros"
    return (kind or type(layer)).from_config(config)


def _fast(layer, dtype):
    if isinstance(layer, keras.layers.BatchNormalization):
        return like(layer, FusedBatchNormalization, dtype=dtype)
    if isinstance(layer, keras.layers.Conv2D) and convolution.suits(layer):
        return like(layer, MatmulGradientConv2D, dtype=dtype)
    return like(layer, dtype=dtype)
