"""Convolution with a quarter of the multiplications, for float32 on a CPU.

Four by four outputs of a 3 x 3 convolution see a tile of six by six inputs. Once tile and kernel
are transformed, 36 products of theirs, transformed back, are the 16 outputs, where the sum over the
kernel takes 16 * 9. Over channels and tiles these are 36 matrix products. Source: Lavin and Gray
2016, "Fast Algorithms for Convolutional Neural Networks", F(4 x 4, 3 x 3).
"""

import keras
import numpy as np
import tensorflow as tf

KERNEL_SIZE = 3
OUTPUTS, INPUTS = 4, 6  # of a tile, along each side
# Channels in the input. Fewer leave little to save. With more, which both networks have on 13 x 13
# cells, reading the transformed kernels, four times as large, takes as long as what is saved.
CHANNELS = range(64, 512)

# Along one side, a polynomial product at the points 0, 1, -1, 2, -2 and infinity.
_INPUT = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_KERNEL = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_OUTPUT = [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
]
# Along both sides: (36, 36), (36, 9) and (16, 36).
INPUT, KERNEL, OUTPUT = (
    np.kron(side, side).astype(np.float32) for side in (_INPUT, _KERNEL, _OUTPUT)
)


@keras.saving.register_keras_serializable("yolov3")
class WinogradConvolution(keras.layers.Layer):
    """Compute what `Conv2D` with kernels of 3 x 3, "same" padding and a bias does, in float32.

    It maps (B, H, W, C) of any height and width to (B, H, W, filters). Its `kernel` (36, C,
    filters) is the result of `transform_kernel`. Its rounding errors are about four times those of
    `Conv2D`, a thousandth of those of bfloat16.
    """

    use_bias = True  # as `Conv2D` says it

    def __init__(self, filters: int, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape):
        shape = (INPUTS**2, input_shape[-1], self.filters)
        self.kernel = self.add_weight(shape=shape, initializer="zeros", name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, inputs):
        batch, height, width = tf.unstack(tf.shape(inputs)[:3])
        rows, columns = (height + OUTPUTS - 1) // OUTPUTS, (width + OUTPUTS - 1) // OUTPUTS
        tiles = overlapping_tiles(inputs, rows, columns)  # (36, B * rows * columns * C)
        tiles = tf.reshape(tf.matmul(INPUT, tiles), [INPUTS**2, -1, inputs.shape[-1]])
        products = tf.matmul(tiles, self.kernel)  # (36, B * rows * columns, filters)
        outputs = tf.matmul(OUTPUT, tf.reshape(products, [INPUTS**2, -1]))
        outputs = tf.reshape(outputs, [OUTPUTS**2 * batch, rows, columns, self.filters])
        outputs = tf.nn.bias_add(outputs, self.bias)
        surplus = [[0, rows * OUTPUTS - height], [0, columns * OUTPUTS - width]]
        return tf.batch_to_space(outputs, [OUTPUTS] * 2, surplus)  # (B, H, W, filters)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:3], self.filters)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


def suits(layer: keras.layers.Conv2D, dtype: str) -> bool:
    """Tell whether this is the fastest way to do what a built convolution does here, in `dtype`.

    A GPU has it in its own library, and half precision has too few bits for the transforms.
    """
    is_plain = layer.kernel_size == (KERNEL_SIZE,) * 2 and layer.strides == (1, 1)
    is_fast = is_plain and dtype == "float32" and layer.kernel.shape[2] in CHANNELS
    return is_fast and not tf.config.list_physical_devices("GPU")


def transform_kernel(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel (3, 3, C, filters) as `WinogradConvolution` wants it, (36, C, filters)."""
    flat = kernel.reshape(KERNEL_SIZE**2, -1)
    return (KERNEL @ flat).reshape(INPUTS**2, *kernel.shape[2:])


def overlapping_tiles(inputs, rows, columns) -> tf.Tensor:
    """Cut (B, H, W, C), padded with zeros, into rows * columns tiles that share two lines.

    Returns (36, B * rows * columns * C): what is at each of the 6 x 6 places of the tiles.
    """
    batch, height, width = tf.unstack(tf.shape(inputs)[:3])
    shared = INPUTS - OUTPUTS  # the last lines of a tile are the first of the next one
    padded_height, padded_width = rows * OUTPUTS + shared, columns * OUTPUTS + shared
    after = padded_height - height - 1, padded_width - width - 1
    padded = tf.pad(inputs, [[0, 0], [1, after[0]], [1, after[1]], [0, 0]])
    y = tf.range(INPUTS)[:, tf.newaxis] + OUTPUTS * tf.range(rows)  # (place y, row)
    x = tf.range(INPUTS)[:, tf.newaxis] + OUTPUTS * tf.range(columns)  # (place x, column)
    lines = tf.range(batch)[:, tf.newaxis] * padded_height + y[:, tf.newaxis, tf.newaxis]
    # Place y, place x, B, row, column: one gather on all cores instead of many copies on one.
    pixels = lines[..., tf.newaxis] * padded_width + x[:, tf.newaxis, tf.newaxis]
    tiles = tf.gather(tf.reshape(padded, [-1, inputs.shape[-1]]), pixels)
    return tf.reshape(tiles, [INPUTS**2, -1])
