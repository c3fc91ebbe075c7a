"""Convolution whose kernel gradient is a matrix product where that is faster."""

import keras
import tensorflow as tf

KERNEL_SIZE = 3
# From this many channels in the input on. Such layers see few positions, 169 per image of 416
# px, and oneDNN's own kernel gradient is made for many: on a CPU it takes 1.1 to 2.2 times as long.
MANY_CHANNELS = 512


@keras.saving.register_keras_serializable("yolov3")
class MatmulGradientConv2D(keras.layers.Conv2D):
    """Compute what `keras.layers.Conv2D` with a kernel of 3 x 3 does, and the same gradients.

    The gradient of the kernel is one matrix product of all positions. A whole training step in
    bfloat16 takes 0.92 of its time at 224 px, 0.96 at 416, and 0.96 to 0.98 in float32 with AVX2.
    """

    def convolution_op(self, inputs, kernel):
        stride, padding = self.strides[0], self.padding.upper()

        @tf.custom_gradient
        def convolve(inputs, kernel):
            def gradients(upstream):
                of_inputs = tf.nn.conv2d_transpose(
                    upstream, kernel, tf.shape(inputs), stride, padding
                )
                return of_inputs, kernel_gradient(inputs, upstream, stride, padding)

            return tf.nn.conv2d(inputs, kernel, stride, padding), gradients

        return convolve(inputs, tf.convert_to_tensor(kernel))  # in the compute type


def suits(layer: keras.layers.Conv2D) -> bool:
    """Tell whether a built layer is faster so here; a GPU has cuDNN's kernel gradient."""
    is_wide = layer.kernel_size == (KERNEL_SIZE,) * 2 and layer.kernel.shape[2] >= MANY_CHANNELS
    return is_wide and not tf.config.list_physical_devices("GPU")


def kernel_gradient(inputs, upstream, stride: int, padding: str) -> tf.Tensor:
    """Return the gradient (3, 3, I, O) of a convolution's kernel.

    `inputs` is (B, H, W, I), `upstream` the gradient (B, G, G', O) of the outputs. Each of the nine
    places of the kernel sees one input for each output; side by side they are a matrix of one row
    for each output, and the gradient is its product with those of the outputs.
    """
    if padding == "SAME":
        inputs = tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]])
    rows, columns = tf.unstack(tf.shape(upstream)[1:3] * stride)
    seen = [
        inputs[:, y : y + rows : stride, x : x + columns : stride]  # (B, G, G', I)
        for y in range(KERNEL_SIZE)
        for x in range(KERNEL_SIZE)
    ]
    depth_in, depth_out = inputs.shape[-1], upstream.shape[-1]
    seen = tf.reshape(tf.concat(seen, axis=-1), [-1, KERNEL_SIZE**2 * depth_in])  # (BGG', 9 * I)
    upstream = tf.reshape(upstream, [-1, depth_out])  # (BGG', O)
    product = tf.matmul(seen, upstream, transpose_a=True)  # (9 * I, O)
    return tf.reshape(product, [KERNEL_SIZE, KERNEL_SIZE, depth_in, depth_out])
