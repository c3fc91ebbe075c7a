"""Fold batch normalisation into the convolutions, for detection."""

import keras
import numpy as np

from yolov3.kernels.rounding import make_bias_exact, round_kernel
from yolov3.kernels.winograd import WinogradConvolution, transform_kernel
from yolov3.yolov3 import BN_EPSILON


def fold_into(folded: keras.Model, model: keras.Model) -> None:
    """Give `folded` (built with `folded=True`) the weights that make it equal `model` in inference.

    Convolution and batch normalisation are both linear: gamma * (W x - mean) / sqrt(variance +
    epsilon) + beta is a convolution with kernel W * gamma / sqrt(variance + epsilon) and a bias.
    What remains, convolution, bias and leaky ReLU, runs as one kernel, or as `winograd` does it.
    For a `folded` of half precision the weights are rounded with care.
    """
    kernel, bias = folded_weights("conv_0", model)
    next_kernel, next_bias = folded_weights("conv_1", model)
    # Images are bright: the first bias, and so its error, is several times as large as others.
    dtype = folded.get_layer("conv_0").kernel.dtype
    kernel, bias, next_kernel = make_bias_exact(kernel, bias, next_kernel, dtype)
    exact = {"conv_0": (kernel, bias), "conv_1": (next_kernel, next_bias)}
    for layer in folded.layers:
        if layer.weights:
            kernel, bias = exact.get(layer.name) or folded_weights(layer.name, model)
            if isinstance(layer, WinogradConvolution):
                kernel = transform_kernel(kernel)
            else:
                kernel = round_kernel(kernel, layer.kernel.dtype)
            layer.set_weights([kernel, bias])


def folded_weights(name: str, model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel and bias that do what a convolution and its normalisation do in `model`.

    They are float32, (height, width, in, out) and (out,).
    """
    source = model.get_layer(name)
    kernel = np.asarray(source.kernel, np.float32)
    if source.use_bias:
        return kernel, np.asarray(source.bias, np.float32)
    norm = model.get_layer(name.replace("conv", "bn"))
    gamma, beta, mean, variance = (np.asarray(weight, np.float32) for weight in norm.weights)
    scale = gamma / np.sqrt(variance + BN_EPSILON)  # (filters,)
    return kernel * scale, beta - mean * scale
