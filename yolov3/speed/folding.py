"""Fold batch normalisation into the convolutions, for detection."""

import keras
import numpy as np

from yolov3.speed.rounding import round_kernel
from yolov3.yolov3 import BN_EPSILON


def fold_into(folded: keras.Model, model: keras.Model) -> None:
    """Give `folded` (built with `folded=True`) the weights that make it equal `model` in inference.

    Convolution and batch normalisation are both linear: gamma * (W x - mean) / sqrt(variance +
    epsilon) + beta is a convolution with kernel W * gamma / sqrt(variance + epsilon) and a bias.
    What remains, convolution, bias and leaky ReLU, runs as one kernel. A `folded` of half precision
    gets kernels whose rounding errors cancel.
    """
    for layer in folded.layers:
        if not layer.weights:
            continue
        source = model.get_layer(layer.name)
        kernel = np.asarray(source.kernel, np.float32)
        if source.use_bias:
            bias = np.asarray(source.bias, np.float32)
        else:
            norm = model.get_layer(layer.name.replace("conv", "bn"))
            gamma, beta, mean, variance = (
                np.asarray(weight, np.float32) for weight in norm.weights
            )
            scale = gamma / np.sqrt(variance + BN_EPSILON)  # (filters,)
            kernel, bias = kernel * scale, beta - mean * scale
        layer.set_weights([round_kernel(kernel, layer.kernel.dtype), bias])
