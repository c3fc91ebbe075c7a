"""The networks: Darknet-53 and tiny backbones, detection heads, and `decode`.

Layers carry the names of darknet's cfg sections in order (`conv_0`, `bn_0`, `conv_1` ...), so
weights of any source are matched by name. Source: Redmon and Farhadi 2018, "YOLOv3: An Incremental
Improvement", and darknet's cfg/yolov3.cfg and cfg/yolov3-tiny.cfg.
"""

import keras
import tensorflow as tf
from keras import layers

from yolov3.configs import ANCHORS_PER_SCALE

LEAKY_SLOPE = 0.1  # darknet's leaky activation
BN_EPSILON = 1e-5  # darknet's is 1e-6 to 1e-5; Keras's default of 1e-3 changes the outputs
BN_MOMENTUM = 0.9  # follows the weights within tens of steps, as short trainings need
CONFIDENCE_BIAS = -5.0  # sigmoid(-5) = 0.7 %: an untrained network finds (almost) nothing
MAX_LOG_SIZE = 10.0  # e^10 anchors: larger than any image, and finite in float32


def build_yolov3(
    num_classes: int,
    tiny: bool = False,
    dtype: str = "float32",
    kernel_initializer: str = "he_normal",
) -> keras.Model:
    """Build YOLOv3 or YOLOv3-tiny.

    The model maps (B, H, W, 3) RGB in [0, 1], H and W multiples of 32, to the list of raw maps (B,
    H/s, W/s, A, 5 + C) for the strides s, fine to coarse: t_x, t_y, t_w, t_h, confidence logit,
    class logits. The raw maps are float32 and the same in training and inference. `dtype` is a
    Keras dtype policy ("mixed_bfloat16" computes in bfloat16 on float32 weights). For a network
    that takes the weights of another, `kernel_initializer` "zeros" saves the seconds that drawing
    62 million random numbers takes. For speed, see `kernels.substitute` and `kernels.folding`.

    Raises ValueError for a class count below 1.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes: expected at least 1; received {num_classes!r}")
    net = _Builder(num_classes, dtype, kernel_initializer)
    image = keras.Input((None, None, 3), name="image")
    raw_maps = _tiny(net, image) if tiny else _full(net, image)
    return keras.Model(image, raw_maps, name="yolov3_tiny" if tiny else "yolov3")


def to_float(images):
    """Return uint8 images as float32 in [0, 1], as the network wants them."""
    return tf.cast(images, tf.float32) / 255.0


def decode(raw: tf.Tensor, anchors, stride) -> tf.Tensor:
    """Turn one raw map (B, G, G, A, 5 + C) into boxes, confidences and class probabilities.

    `anchors` is (A, 2) width and height in pixels of the input, `stride` the pixels per cell.
    Returns (B, G, G, A, 5 + C): x_centre, y_centre, width, height in pixels, confidence and class
    probabilities in [0, 1]. Source: the YOLOv3 paper, section 2.1: b_xy = sigmoid(t_xy) + cell,
    b_wh = anchor * exp(t_wh).
    """
    raw = tf.cast(raw, tf.float32)
    rows, columns = tf.shape(raw)[1], tf.shape(raw)[2]
    cells_x, cells_y = tf.meshgrid(tf.range(columns), tf.range(rows))
    cells = tf.stack([cells_x, cells_y], axis=-1)[:, :, tf.newaxis]  # (G, G, 1, 2)
    cells = tf.cast(cells, tf.float32)
    t_xy, t_wh, logits = tf.split(raw, [2, 2, raw.shape[-1] - 4], axis=-1)
    centre = (tf.sigmoid(t_xy) + cells) * stride
    log_size = tf.clip_by_value(t_wh, -MAX_LOG_SIZE, MAX_LOG_SIZE)
    size = tf.exp(log_size) * tf.cast(anchors, tf.float32)
    return tf.concat([centre, size, tf.sigmoid(logits)], axis=-1)


@keras.saving.register_keras_serializable("yolov3")
class AnchorAxis(layers.Layer):
    """Give the anchors an axis of their own: (B, G, G, A * D) -> (B, G, G, A, D)."""

    def call(self, x):
        depth = x.shape[-1] // ANCHORS_PER_SCALE
        return tf.reshape(x, tf.concat([tf.shape(x)[:3], [ANCHORS_PER_SCALE, depth]], axis=0))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:3], ANCHORS_PER_SCALE, input_shape[3] // ANCHORS_PER_SCALE)


@keras.saving.register_keras_serializable("yolov3")
class OutputBias(keras.initializers.Initializer):
    """Initialise the output bias (A * (5 + C),): `CONFIDENCE_BIAS` for confidences, else 0."""

    def __call__(self, shape, dtype=None):
        bias = tf.zeros([ANCHORS_PER_SCALE, shape[0] // ANCHORS_PER_SCALE], dtype)
        is_confidence = tf.one_hot(4, bias.shape[1], dtype=dtype)
        return tf.reshape(bias + CONFIDENCE_BIAS * is_confidence, [-1])  # (A * (5 + C),)


class _Builder:
    """Add layers under consecutive darknet names."""

    def __init__(self, num_classes, dtype, kernel_initializer):
        self.num_classes, self.dtype = num_classes, dtype
        self.kernel_initializer = kernel_initializer
        self.index = 0

    def conv(self, x, filters, kernel, strides=1, gamma="ones"):
        """Add convolution, batch normalisation that starts with this gamma, leaky ReLU.

        The shape goes from (B, H, W, _) to (B, H/s, W/s, filters).
        """
        if strides == 2:  # darknet pads stride-2 convolutions at the top left only
            x = layers.ZeroPadding2D(((1, 0), (1, 0)), dtype=self.dtype)(x)
        x = layers.Conv2D(
            filters,
            kernel,
            strides,
            padding="valid" if strides == 2 else "same",
            use_bias=False,
            kernel_initializer=self.kernel_initializer,
            name=f"conv_{self.index}",
            dtype=self.dtype,
        )(x)
        x = layers.BatchNormalization(
            momentum=BN_MOMENTUM,
            epsilon=BN_EPSILON,
            gamma_initializer=gamma,
            name=f"bn_{self.index}",
            dtype=self.dtype,
        )(x)
        name = f"leaky_{self.index}"
        self.index += 1
        return layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=name, dtype=self.dtype)(x)

    def residual(self, x, filters):
        """Add a residual block: (B, H, W, filters) -> (B, H, W, filters).

        It starts as the identity: gamma 0 mutes its branch, so that the untrained network is as
        shallow as a dozen layers, and each block joins in as it learns. Source: Goyal et al. 2017,
        "Accurate, Large Minibatch SGD", section 5.1.
        """
        branch = self.conv(x, filters // 2, 1)
        branch = self.conv(branch, filters, 3, gamma="zeros")
        return layers.Add(dtype=self.dtype)([x, branch])

    def convs(self, x, *filters):
        """Add convolutions with kernels of 1 and 3 in turn."""
        for i, count in enumerate(filters):
            x = self.conv(x, count, 3 if i % 2 else 1)
        return x

    def raw_map(self, x):
        """Add the linear output convolution: (B, G, G, _) -> (B, G, G, A, 5 + C) in float32."""
        x = layers.Conv2D(
            ANCHORS_PER_SCALE * (5 + self.num_classes),
            kernel_size=1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=OutputBias(),
            name=f"conv_{self.index}",
            dtype=self.dtype,
        )(x)
        self.index += 1
        return AnchorAxis(dtype="float32")(x)

    def upsample_and_join(self, x, filters, skip):
        """Halve the channels, double the grid and add the finer map's channels after them."""
        x = layers.UpSampling2D(2, dtype=self.dtype)(self.conv(x, filters, 1))
        return layers.Concatenate(dtype=self.dtype)([x, skip])


def _darknet53(net, x):
    """Return the feature maps of strides 8, 16 and 32: (B, H/s, W/s, 256, 512 and 1024)."""
    x = net.conv(x, 32, 3)
    maps = []
    for filters, blocks in ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)):
        x = net.conv(x, filters, 3, strides=2)
        for _ in range(blocks):
            x = net.residual(x, filters)
        maps.append(x)
    return maps[2:]


def _full(net, image):
    fine, middle, x = _darknet53(net, image)
    x = net.convs(x, 512, 1024, 512, 1024, 512)
    coarse_map = net.raw_map(net.conv(x, 1024, 3))
    x = net.upsample_and_join(x, 256, middle)
    x = net.convs(x, 256, 512, 256, 512, 256)
    middle_map = net.raw_map(net.conv(x, 512, 3))
    x = net.upsample_and_join(x, 128, fine)
    x = net.convs(x, 128, 256, 128, 256, 128)
    return [net.raw_map(net.conv(x, 256, 3)), middle_map, coarse_map]


def _tiny(net, x):
    for filters in (16, 32, 64, 128):
        x = layers.MaxPooling2D(2, dtype=net.dtype)(net.conv(x, filters, 3))
    fine = net.conv(x, 256, 3)
    x = net.conv(layers.MaxPooling2D(2, dtype=net.dtype)(fine), 512, 3)
    # Pads minus infinity at the bottom right, as darknet does.
    x = layers.MaxPooling2D(2, strides=1, padding="same", dtype=net.dtype)(x)
    x = net.conv(net.conv(x, 1024, 3), 256, 1)
    coarse_map = net.raw_map(net.conv(x, 512, 3))
    x = net.upsample_and_join(x, 128, fine)
    return [net.raw_map(net.conv(x, 256, 3)), coarse_map]
