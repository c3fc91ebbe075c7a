"""Layers and an optimizer for training that compute what those of Keras do, faster."""

import keras
import tensorflow as tf

from yolov3.kernels import convolution


def for_training(model: keras.Model, dtype: str = "float32") -> keras.Model:
    """Return a network like `model`, layer names included, that trains faster.

    Its weights are copies of those of `model`. `dtype` is the Keras dtype policy to compute in; the
    outputs stay float32.
    """
    late = activations_to_pool_first(model)

    def call(layer, *args, **kwargs):
        if layer.name in late.values():
            return args[0]
        x = layer(*args, **kwargs)
        return like(model.get_layer(late[layer.name]), dtype=dtype)(x) if layer.name in late else x

    def replace(layer):
        return _fast(layer, dtype_of(layer, model, dtype))

    fast = keras.models.clone_model(model, clone_function=replace, call_function=call)
    for ours, theirs in zip(fast.variables, model.variables, strict=True):
        ours.assign(theirs)
    return fast


def dtype_of(layer, model: keras.Model, dtype: str) -> str:
    """Return the dtype policy of a replaced layer: that of `model` for its outputs."""
    return layer.dtype_policy.name if layer.name in model.output_names else dtype


def like(layer, kind=None, **changes):
    """Return a layer of another kind, or of the same, with the configuration of `layer`.

    A kernel starts as zeros: to draw random numbers takes seconds, and it is given another's.
    """
    config = {**layer.get_config(), **changes}
    if "kernel_initializer" in config:
        config["kernel_initializer"] = "zeros"
    return (kind or type(layer)).from_config(config)


def activations_to_pool_first(model: keras.Model) -> dict[str, str]:
    """Return, by the name of its maximum pooling, each leaky ReLU whose output goes there alone.

    It is increasing, so it may as well follow the pooling, on a quarter of the numbers: outputs and
    gradients are the same. In bfloat16 a training step of YOLOv3-tiny takes 0.85 of its time at 416
    px and 0.93 at 224; in float32 with AVX2 it takes as long as before.
    """
    made_by = {layer.output.name: layer for layer in model.layers}
    inputs = [tensor.name for layer in model.layers for tensor in tf.nest.flatten(layer.input)]
    return {
        layer.name: made_by[layer.input.name].name
        for layer in model.layers
        if isinstance(layer, keras.layers.MaxPooling2D)
        and isinstance(made_by[layer.input.name], keras.layers.LeakyReLU)
        and inputs.count(layer.input.name) == 1
    }


def _fast(layer, dtype):
    if isinstance(layer, keras.layers.BatchNormalization):
        return like(layer, FusedBatchNormalization, dtype=dtype)
    if isinstance(layer, keras.layers.Conv2D) and convolution.suits(layer, dtype):
        return like(layer, convolution.TrainingConv2D, dtype=dtype)
    return like(layer, dtype=dtype)


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
