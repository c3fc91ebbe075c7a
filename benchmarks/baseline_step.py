"""The training step as tutorials write it: Keras layers as they come, eager, one scalar at a time.

The same network and loss as in `yolov3/`; what differs is how TensorFlow runs them.
"""

import keras
import tensorflow as tf

from yolov3.configs import Config
from yolov3.labels import assign_anchors
from yolov3.losses import compute_loss
from yolov3.yolov3 import build_yolov3


class EagerStep:
    """Learn from batches: `step(images float32 (B, H, W, 3), targets, boxes_xyxy) -> losses`."""

    def __init__(self, num_classes: int, tiny: bool):
        self.model = build_yolov3(num_classes, tiny)
        config = Config(tiny=tiny)
        self.scales = config.anchors, config.strides
        self.optimizer = keras.optimizers.Adam(1e-5)

    def __call__(self, images, targets, boxes_xyxy):
        with tf.GradientTape() as tape:
            raw_maps = self.model(images, training=True)
            losses = compute_loss(raw_maps, targets, boxes_xyxy, *self.scales)
            total = sum(losses.values())
        gradients = tape.gradient(total, self.model.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables, strict=True))
        return [loss.numpy() for loss in (total, *losses.values())]

    def targets(self, boxes_xyxy, classes, num_classes, size):
        """Return the targets of a batch, which such code makes with NumPy, outside the step."""
        anchors, strides = self.scales
        grids = [(size // stride, size // stride) for stride in strides]
        return assign_anchors(boxes_xyxy, classes, anchors, strides, grids, num_classes)
