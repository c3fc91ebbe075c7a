"""The convolutions of 3 x 3 for training on a CPU: what Keras's compute, with faster gradients.

In float32 oneDNN's gradient of a kernel takes up to eight times as long as the convolution itself.
Here it is one matrix product; and where enough channels meet enough positions, it and the rest of
the convolution are `winograd`'s. A GPU has all of that in cuDNN.
"""

import keras
import tensorflow as tf

from yolov3.kernels import winograd
from yolov3.kernels.hardware import uses_onednn
from yolov3.kernels.winograd import KERNEL_SIZE

# Channels in the input from which on a kernel's gradient is faster as a matrix product. In bfloat16
# oneDNN's own is made for many positions, and slow only in the layers that see few.
PRODUCT_CHANNELS = {"float32": 16, "bfloat16": 512}
WINOGRAD_CHANNELS = 64
WINOGRAD_TILES = 64  # with fewer, transforming kernels takes as long as what is saved


@keras.saving.register_keras_serializable("yolov3")
class TrainingConv2D(keras.layers.Conv2D):
    """Compute what `keras.layers.Conv2D` with a kernel of 3 x 3 does, and the same gradients.

    With AVX2, in float32, a training step of Darknet-53 takes 0.58 of its time, one of YOLOv3-tiny
    0.76 at 416 px and 0.88 at 224 px; in bfloat16 one of tiny 0.96 and 0.92.
    """

    def convolution_op(self, inputs, kernel):
        kernel = tf.convert_to_tensor(kernel)  # in the compute type
        if _is_winograd(self):
            return winograd_convolution(inputs, kernel)
        return product_convolution(inputs, kernel, self.strides[0], self.padding.upper())


def suits(layer: keras.layers.Conv2D, dtype: str) -> bool:
    """Tell whether a built layer trains faster as `TrainingConv2D` here, in a dtype policy.

    Without oneDNN it does not: a step of YOLOv3-tiny takes 1.06 of its time.
    """
    least = PRODUCT_CHANNELS.get(keras.DTypePolicy(dtype).compute_dtype)
    if not least or not uses_onednn() or tf.config.list_physical_devices("GPU"):
        return False
    return layer.kernel_size == (KERNEL_SIZE,) * 2 and layer.kernel.shape[2] >= least


def product_convolution(inputs, kernel, stride: int, padding: str) -> tf.Tensor:
    """Convolve (B, H, W, C) with a kernel (3, 3, C, filters), whose gradient is a product."""

    @tf.custom_gradient
    def convolve(inputs, kernel):
        def gradients(upstream):
            of_inputs = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(inputs), stride, padding)
            return of_inputs, kernel_gradient(inputs, upstream, stride, padding)

        return tf.nn.conv2d(inputs, kernel, stride, padding), gradients

    return convolve(inputs, kernel)


@tf.custom_gradient
def winograd_convolution(inputs, kernel):
    """Convolve (B, H, W, C) with a kernel (3, 3, C, filters), padded to the same size.

    It and its gradients are `winograd`'s where there are tiles enough.
    """

    def gradients(upstream):
        return _backward(inputs, kernel, upstream)

    return _forward(inputs, kernel), gradients


def kernel_gradient(inputs, upstream, stride: int, padding: str) -> tf.Tensor:
    """Return the gradient (3, 3, C, filters) of a convolution's kernel.

    `inputs` is (B, H, W, C), `upstream` the gradient (B, G, G', filters) of the outputs. Each of
    the nine places of the kernel sees one input for each output; side by side they are a matrix of
    one row for each output, and the gradient is its product with those of the outputs.
    """
    if padding == "SAME":
        inputs = tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]])
    batch, height, width = tf.unstack(tf.shape(inputs)[:3])
    rows, columns = tf.unstack(tf.shape(upstream)[1:3])
    channels, filters = inputs.shape[-1], upstream.shape[-1]
    places = tf.range(KERNEL_SIZE)
    y = tf.range(rows)[:, tf.newaxis, tf.newaxis, tf.newaxis] * stride + places[:, tf.newaxis]
    x = tf.range(columns)[:, tf.newaxis, tf.newaxis] * stride + places  # (G', 1, place x)
    # B, G, G', place y, place x: one gather on all cores instead of nine copies on one.
    images = tf.reshape(tf.range(batch), [-1, 1, 1, 1, 1])
    seen = tf.gather(tf.reshape(inputs, [-1, channels]), (images * height + y) * width + x)
    seen = tf.reshape(seen, [-1, KERNEL_SIZE**2 * channels])  # (BGG', 9 * C)
    product = tf.matmul(seen, tf.reshape(upstream, [-1, filters]), transpose_a=True)
    return tf.reshape(product, [KERNEL_SIZE, KERNEL_SIZE, channels, filters])


def _is_winograd(layer):
    is_deep = layer.kernel.shape[2] >= WINOGRAD_CHANNELS
    return is_deep and layer.strides == (1, 1) and layer.compute_dtype == "float32"


@tf.function(autograph=False)  # one graph for all layers of the same channels: it traces faster
def _forward(inputs, kernel):
    def by_winograd():
        transformed = winograd.transform_inputs(inputs)
        products = tf.matmul(transformed, winograd.transform_kernel(kernel))
        return winograd.transform_products(products, tf.shape(inputs))

    def by_onednn():
        return tf.nn.conv2d(inputs, kernel, 1, "SAME")

    return tf.cond(winograd.count_tiles(inputs) >= WINOGRAD_TILES, by_winograd, by_onednn)


@tf.function(autograph=False)
def _backward(inputs, kernel, upstream):
    """Return the gradients of inputs and kernel."""

    def by_winograd():
        # Once more: to keep those of all layers takes a third more memory, and gains nothing.
        transformed = winograd.transform_inputs(inputs)
        of_kernel = winograd.kernel_gradient(transformed, upstream)
        return winograd.input_gradient(kernel, upstream), of_kernel

    def by_onednn():
        of_inputs = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(inputs), 1, "SAME")
        return of_inputs, kernel_gradient(inputs, upstream, 1, "SAME")

    # Asked of `upstream`, so that nothing here begins while the network still goes forward.
    return tf.cond(winograd.count_tiles(upstream) >= WINOGRAD_TILES, by_winograd, by_onednn)
