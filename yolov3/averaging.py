"""The moving average of the weights."""

import keras
import tensorflow as tf

AVERAGE_EVERY = 4  # steps: a pass over all weights, which costs a tenth of a step on a CPU


def copy_weights(average: keras.Model, model: keras.Model) -> None:
    """Let the average begin at the network's weights."""
    for mean, weight in zip(average.variables, model.variables, strict=True):
        mean.assign(weight)


def update_ema(average: keras.Model, model: keras.Model, step: tf.Tensor, decay: float) -> None:
    """Move the average towards the network's weights, if it is time to at this step (from 0).

    The decay grows to `decay`, so that the average forgets the initial weights soon.
    """
    every = AVERAGE_EVERY if decay else 1  # without decay it is the weights of each step
    tf.cond(step % every == 0, lambda: _update(average, model, step, decay, every), lambda: None)


def _update(average, model, step, decay, every):
    step = tf.cast(step, tf.float32)
    share = 1 - tf.minimum(decay, (1 + step) / (10 + step)) ** every
    devices = tf.distribute.get_strategy().extended
    for mean, weight in zip(average.variables, model.variables, strict=True):
        devices.update(mean.value, _move_towards, args=(weight.value, share), group=False)


def _move_towards(mean, weight, share):
    mean.assign_sub((mean - weight) * share)
