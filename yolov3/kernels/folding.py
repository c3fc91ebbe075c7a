"""Fold batch normalisation into the convolutions, for detection, and round with care.

Convolution and batch normalisation are both linear: gamma * (W x - mean) / sqrt(variance +
epsilon) + beta is a convolution with kernel W * gamma / sqrt(variance + epsilon) and a bias.
What remains, convolution, bias and leaky ReLU, runs as one kernel, or as `winograd` does it.
"""

import keras
import numpy as np
import tensorflow as tf

from yolov3.kernels import winograd
from yolov3.kernels.substitute import dtype_of, like

LARGEST_RESCALING = 0.01  # no normal number moves that far by rounding; what underflows would


def fold(model: keras.Model, dtype: str = "float32", portable: bool = False) -> keras.Model:
    """Return the network that computes in `dtype` what `model` does in inference.

    `model` is one of `build_yolov3`. The convolutions keep their names and have a bias; there is no
    batch normalisation. The outputs stay float32. In float32 on a CPU, many of the 3 x 3
    convolutions are those of `winograd`, unless the network is to be `portable`.
    """

    def replace(layer):
        return _folded_layer(layer, dtype_of(layer, model, dtype), portable)

    folded = keras.models.clone_model(model, clone_function=replace, call_function=_skip_norms)
    refold(folded, model)
    return folded


def refold(folded: keras.Model, model: keras.Model) -> None:
    """Give a network of `fold` the weights of `model`, rounded with care for half precision."""
    kernel, bias = folded_weights("conv_0", model)
    next_kernel, next_bias = folded_weights("conv_1", model)
    # Images are bright: the first bias, and so its error, is several times as large as others.
    dtype = folded.get_layer("conv_0").kernel.dtype
    kernel, bias, next_kernel = make_bias_exact(kernel, bias, next_kernel, dtype)
    exact = {"conv_0": (kernel, bias), "conv_1": (next_kernel, next_bias)}
    for layer in folded.layers:
        if layer.weights:
            kernel, bias = exact.get(layer.name) or folded_weights(layer.name, model)
            if isinstance(layer, winograd.WinogradConvolution):
                kernel = winograd.transform_kernel(kernel)
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
    scale = gamma / np.sqrt(variance + np.float32(norm.epsilon))  # (filters,)
    return kernel * scale, beta - mean * scale


def _folded_layer(layer, dtype, portable):
    if isinstance(layer, keras.layers.BatchNormalization):
        return layer  # for `_skip_norms`
    if not isinstance(layer, keras.layers.Conv2D):
        return like(layer, dtype=dtype)
    if not portable and winograd.suits(layer, dtype):
        return winograd.WinogradConvolution(layer.filters, name=layer.name, dtype=dtype)
    return like(layer, keras.layers.Conv2D, dtype=dtype, use_bias=True)


def _skip_norms(layer, x, **kwargs):
    return x if isinstance(layer, keras.layers.BatchNormalization) else layer(x, **kwargs)


def round_kernel(kernel: np.ndarray, dtype: str) -> np.ndarray:
    """Return `kernel` (h, w, in, out) in float32, every number one that `dtype` can hold.

    What rounding takes from a number is given to the next one that the same output sums up, so the
    errors of an output's kernel add up to less than one rounding. Plain rounding lets hundreds add
    up, and as activations are positive on average, and alike in neighbouring pixels, that
    shifts the output as a wrong bias would. bfloat16 keeps 8 bits, and the dozens of layers of
    Darknet-53 then lose a hundredth of mAP. Source: error diffusion, Floyd and Steinberg 1976.
    """
    storage = tf.as_dtype(dtype).as_numpy_dtype
    if storage == np.float32:
        return kernel
    height, width, inputs, filters = kernel.shape
    # The pixels of one input channel are most alike: they come one after another.
    columns = kernel.transpose(2, 0, 1, 3).reshape(-1, filters)  # (in * h * w, out)
    rounded = np.empty_like(columns)
    error = np.zeros(filters, np.float32)
    for row, wanted in enumerate(columns):
        wanted = wanted + error
        rounded[row] = wanted.astype(storage)
        error = wanted - rounded[row]
    return rounded.reshape(inputs, height, width, filters).transpose(1, 2, 0, 3)


def make_bias_exact(kernel, bias, next_kernel, dtype: str) -> tuple:
    """Return the three rescaled, so that `dtype` holds each number of `bias` without an error.

    The convolution of `kernel` (h, w, _, C) and `bias` (C,) must lead to that of `next_kernel` (h,
    w, C, _) alone, through leaky ReLU, padding with zeros or pooling. A positive factor passes
    through all of these, so each channel is scaled, by less than a rounding, and scaled back.
    """
    rounded = bias.astype(tf.as_dtype(dtype).as_numpy_dtype).astype(np.float32)
    scale = np.divide(rounded, bias, out=np.ones_like(bias), where=bias != 0)  # (C,)
    scale = np.where(np.abs(scale - 1) < LARGEST_RESCALING, scale, np.float32(1))
    return kernel * scale, bias * scale, next_kernel / scale[:, np.newaxis]
