"""Batch normalisation on TensorFlow's fused kernel."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("yolov3")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Compute what `keras.layers.BatchNormalization` computes for (B, H, W, C), in one kernel.

    Under TensorFlow, Keras 3 writes batch normalisation out as mean, squared difference, multiply
    and so on. `FusedBatchNormV3` does it in one pass (cuDNN on a GPU, oneDNN on a CPU) with float32
    statistics whatever the compute type is. Weights, their names and the meaning of `momentum` are
    those of the parent class; the running variance is the unbiased one, as in darknet, PyTorch and
    `tf.compat.v1.layers`.
    """

    def call(self, inputs, training=None, mask=None):  # no network here has a mask
        if not (training and self.trainable):
            return self._fused(inputs, self.moving_mean, self.moving_variance, is_training=False)[0]
        outputs, mean, variance = self._fused(inputs, [], [], is_training=True)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs

    def _fused(self, inputs, mean, variance, is_training):
        result = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.cast(self.gamma, tf.float32),
            offset=tf.cast(self.beta, tf.float32),
            mean=tf.cast(mean, tf.float32),
            variance=tf.cast(variance, tf.float32),
            epsilon=self.epsilon,
            is_training=is_training,
        )
        return result.y, result.batch_mean, result.batch_variance
