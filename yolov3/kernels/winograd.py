"""Convolution, and its gradients, with a quarter of the multiplications, for float32 on a CPU.

Four by four outputs of a 3 x 3 convolution see a tile of six by six inputs. Once tile and kernel
are transformed, 36 products of theirs, transformed back, are the 16 outputs, where the sum over the
kernel takes 16 * 9. Over channels and tiles these are 36 matrix products. The gradient of the
inputs is such a convolution too, by the turned kernel; that of the kernel goes back through the
same products and transforms. Source: Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural
Networks", F(4 x 4, 3 x 3).
"""

import keras
import numpy as np
import tensorflow as tf

KERNEL_SIZE = 3
OUTPUTS, INPUTS = 4, 6  # of a tile, along each side
# Channels in the input, for detection. Fewer leave little to save. With more, which both networks
# have on 13 x 13 cells, reading the transformed kernels, four times as large, takes as long as what
# is saved in one image.
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
TURNED_KERNEL = np.ascontiguousarray(KERNEL[:, ::-1])  # by 180 degrees, for input gradients


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
        products = tf.matmul(transform_inputs(inputs), self.kernel)
        return tf.nn.bias_add(transform_products(products, tf.shape(inputs)), self.bias)

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


def transform_kernel(kernel, matrix=KERNEL) -> tf.Tensor:
    """Return a kernel (3, 3, C, filters) at the 36 points: (36, C, filters)."""
    flat = tf.reshape(kernel, [KERNEL_SIZE**2, -1])
    return tf.reshape(tf.matmul(matrix, flat), [INPUTS**2, *kernel.shape[2:]])


def transform_inputs(inputs) -> tf.Tensor:
    """Cut (B, H, W, C) into tiles, and return them at the 36 points: (36, tiles, C).

    The tiles are as many as `count_tiles` says. The products of what this returns with a
    transformed kernel (36, C, filters) are for `transform_products`.
    """
    tiles = tf.matmul(INPUT, overlapping_tiles(inputs))  # (36, tiles * C)
    return tf.reshape(tiles, [INPUTS**2, -1, inputs.shape[-1]])


def transform_products(products, shape) -> tf.Tensor:
    """Return the outputs (B, H, W, filters) of products (36, tiles, filters) for (B, H, W, _)."""
    (rows, columns), surplus = _grid(shape)
    filters = products.shape[-1]
    outputs = tf.matmul(OUTPUT, tf.reshape(products, [INPUTS**2, -1]))  # (16, tiles * filters)
    outputs = tf.reshape(outputs, [OUTPUTS**2 * shape[0], rows, columns, filters])
    return tf.batch_to_space(outputs, [OUTPUTS] * 2, surplus)


def input_gradient(kernel, upstream) -> tf.Tensor:
    """Return the gradient (B, H, W, C) of the inputs, from that of the outputs (B, H, W, filters).

    `kernel` is the plain one, (3, 3, C, filters).
    """
    turned = transform_kernel(kernel, TURNED_KERNEL)
    products = tf.matmul(transform_inputs(upstream), turned, transpose_b=True)  # (36, tiles, C)
    return transform_products(products, tf.shape(upstream))


def kernel_gradient(transformed, upstream) -> tf.Tensor:
    """Return the gradient (3, 3, C, filters) of the plain kernel.

    `transformed` (36, tiles, C) is what `transform_inputs` made of the inputs, `upstream` the
    gradient (B, H, W, filters) of the outputs.
    """
    channels, filters = transformed.shape[-1], upstream.shape[-1]
    surplus = _grid(tf.shape(upstream))[1]
    outputs = tf.space_to_batch(upstream, [OUTPUTS] * 2, surplus)  # (16 * B, rows, columns, ...)
    outputs = tf.reshape(outputs, [OUTPUTS**2, -1])
    products = tf.matmul(OUTPUT, outputs, transpose_a=True)  # (36, tiles * filters)
    products = tf.reshape(products, [INPUTS**2, -1, filters])
    kernel = tf.matmul(transformed, products, transpose_a=True)  # (36, C, filters)
    kernel = tf.matmul(KERNEL, tf.reshape(kernel, [INPUTS**2, -1]), transpose_a=True)
    return tf.reshape(kernel, [KERNEL_SIZE, KERNEL_SIZE, channels, filters])


def count_tiles(images) -> tf.Tensor:
    """Return how many tiles (B, H, W, C) has."""
    shape = tf.shape(images)
    rows, columns = _grid(shape)[0]
    return shape[0] * rows * columns


def overlapping_tiles(inputs) -> tf.Tensor:
    """Cut (B, H, W, C), padded with zeros, into tiles that share two lines with their neighbours.

    Returns (36, B * rows * columns * C): what is at each of the 6 x 6 places of the tiles.
    """
    shape = tf.shape(inputs)
    (rows, columns), surplus = _grid(shape)
    shared = INPUTS - OUTPUTS  # the last lines of a tile are the first of the next one
    padded_height, padded_width = rows * OUTPUTS + shared, columns * OUTPUTS + shared
    after = surplus[0][1] + 1, surplus[1][1] + 1
    padded = tf.pad(inputs, [[0, 0], [1, after[0]], [1, after[1]], [0, 0]])
    y = tf.range(INPUTS)[:, tf.newaxis] + OUTPUTS * tf.range(rows)  # (place y, row)
    x = tf.range(INPUTS)[:, tf.newaxis] + OUTPUTS * tf.range(columns)  # (place x, column)
    lines = tf.range(shape[0])[:, tf.newaxis] * padded_height + y[:, tf.newaxis, tf.newaxis]
    # Place y, place x, B, row, column: one gather on all cores instead of many copies on one.
    pixels = lines[..., tf.newaxis] * padded_width + x[:, tf.newaxis, tf.newaxis]
    tiles = tf.gather(tf.reshape(padded, [-1, inputs.shape[-1]]), pixels)
    return tf.reshape(tiles, [INPUTS**2, -1])


def _grid(shape):
    """Return rows and columns of tiles for (B, H, W, _), and their surplus on each side."""
    height, width = shape[1], shape[2]
    rows, columns = (height + OUTPUTS - 1) // OUTPUTS, (width + OUTPUTS - 1) // OUTPUTS
    surplus = [[0, rows * OUTPUTS - height], [0, columns * OUTPUTS - width]]
    return (rows, columns), surplus
