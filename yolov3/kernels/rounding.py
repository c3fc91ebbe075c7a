"""Round the weights of a trained network to half precision without shifting what it computes."""

import numpy as np
import tensorflow as tf

LARGEST_RESCALING = 0.01  # no normal number moves that far by rounding; what underflows would


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
