"""All GPUs of a machine at once: batches are shared out to them, and come back."""

import numpy as np
import tensorflow as tf


def distribution_strategy() -> tf.distribute.Strategy:
    """Return one that uses all GPUs, or TensorFlow's default for one device."""
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def share_out(strategy: tf.distribute.Strategy, batches: tf.data.Dataset):
    """Return the batches, each cut into a share for every device where there are several."""
    if strategy.num_replicas_in_sync == 1:
        return batches
    return strategy.experimental_distribute_dataset(batches)


def bring_together(strategy: tf.distribute.Strategy, part) -> np.ndarray:
    """Return a part of a batch from `share_out` as one array (B, ...)."""
    return np.concatenate([x.numpy() for x in strategy.experimental_local_results(part)])
