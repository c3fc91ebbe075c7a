"""All GPUs of a machine: each batch is split between them, and gathered again to be shown."""

import numpy as np
import tensorflow as tf


def distribution_strategy(batch_size: int) -> tf.distribute.Strategy:
    """Return a strategy for the GPUs, or TensorFlow's default for one device."""
    gpus = [gpu.name for gpu in tf.config.list_logical_devices("GPU")]
    used = replicas_for(batch_size, len(gpus))
    return tf.distribute.MirroredStrategy(gpus[:used]) if used > 1 else tf.distribute.get_strategy()


def replicas_for(batch_size: int, available: int) -> int:
    """Return the largest number of the devices that divides the batch size, at least 1.

    In unequal parts some images would count more than others, and an empty part has no mean loss.
    """
    return max([n for n in range(1, available + 1) if batch_size % n == 0], default=1)


def distribute_batches(strategy: tf.distribute.Strategy, batches: tf.data.Dataset):
    """Return the batches, each split between the replicas where there are several."""
    if strategy.num_replicas_in_sync == 1:
        return batches
    return strategy.experimental_distribute_dataset(batches)


def gather(strategy: tf.distribute.Strategy, part) -> np.ndarray:
    """Return a part of a batch from `distribute_batches` as one array (B, ...)."""
    return np.concatenate([x.numpy() for x in strategy.experimental_local_results(part)])
