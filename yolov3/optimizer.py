"""AdamW in one kernel per variable."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("yolov3")
class FusedAdamW(keras.optimizers.AdamW):
    """Compute what `keras.optimizers.AdamW` computes, with TensorFlow's fused Adam kernel.

    Keras 3 writes Adam out as eight ops per variable, each a pass over memory; `ResourceApplyAdam` is one.
    `epsilon` sits outside the bias correction in both, so the results agree to rounding.
    Source: Kingma and Ba 2015; Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization".
    """

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, tf.float32),
        )


def _handle(variable):
    """Return the resource of a Keras variable, or of the TensorFlow variable behind it."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle
