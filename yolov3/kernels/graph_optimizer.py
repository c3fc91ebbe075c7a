"""When TensorFlow's graph optimizer (Grappler) is worth its time."""

from collections.abc import Callable

import tensorflow as tf

OFF = "disable_meta_optimizer"


def without_grappler(function: Callable) -> Callable:
    """Return a `tf.function` whose graphs run as they were traced, on machines without a GPU.

    Grappler takes 8 s of CPU time for the training step of Darknet-53, which has 8,000 ops, and on
    a CPU the step is no faster for it. On a GPU it chooses the layout of convolutions, and stays.
    """
    if tf.config.list_physical_devices("GPU"):
        return function

    def call(*args):
        before = tf.config.optimizer.get_experimental_options().get(OFF, False)
        tf.config.optimizer.set_experimental_options({OFF: True})
        try:
            return function(*args)
        finally:
            tf.config.optimizer.set_experimental_options({OFF: before})

    return call
