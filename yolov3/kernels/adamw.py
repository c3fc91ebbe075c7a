"""AdamW in one kernel per variable."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("yolov3")
class FusedAdamW(keras.optimizers.AdamW):
    """Compute what `keras.optimizers.AdamW` computes, with TensorFlow's fused Adam kernel.

    Keras 3 writes Adam out as eight ops per variable, each a pass over memory; `ResourceApplyAdam`
    is one. `epsilon` sits outside the bias correction in both, so the results agree to rounding.
    Gradients of several replicas must be summed before.
    Source: Kingma and Ba 2015; Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization".
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._late_starts = {}  # index of a variable: the step that it starts at

    def start_late(self, variables, first_step: int) -> None:
        """Say that variables are frozen up to a step, so that Adam's bias correction begins there.

        Without it, moments that are still zero are taken for settled ones, and the first steps
        after unfreezing are several times too long.
        """
        for variable in variables:
            self._late_starts[self._get_variable_index(variable)] = first_step

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars  # `TrainStep` sums those of all replicas, to judge them first

    def _apply_weight_decay(self, variables):
        if self.weight_decay:  # a decay of 0 would be three passes over all weights for nothing
            super()._apply_weight_decay(variables)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        steps = self.iterations + 1 - self._late_starts.get(index, 0)
        step = tf.cast(tf.maximum(steps, 1), tf.float32)
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
