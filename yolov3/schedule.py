"""What changes during a run: the learning rate per step, the input size per epoch."""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from yolov3.configs import SIZE_MULTIPLE, Config

EPSILON = 1e-6  # epochs: two thirds of 15 are 10


class TrainingSchedule:
    """The epochs of a run, counted from 0, their steps and their input sizes.

    Where their number is not whole, the last one ends early.
    """

    def __init__(self, config: Config, num_images: int):
        self.config, self.num_images = config, num_images
        self.batch_size = config.train_batch_size
        self.steps_per_epoch = math.ceil(num_images / config.train_batch_size)
        self.warmup_steps, self.total_steps = lengths(config, self.steps_per_epoch)
        self.epochs = math.ceil(self.total_steps / self.steps_per_epoch)

    def change(self, **settings) -> "TrainingSchedule":
        """Return the schedule that other settings make."""
        return TrainingSchedule(dataclasses.replace(self.config, **settings), self.num_images)

    def input_size(self, epoch: int) -> int:
        """Return the input size of an epoch in pixels."""
        return input_size_of(self.config, epoch)

    def mixes_images(self, epoch: int) -> bool:
        """Tell whether an epoch may have mosaics and mixup: it ends before `augment_close`."""
        epochs = self.config.train_epochs
        return min(epoch + 1, epochs) <= epochs * (1 - self.config.augment_close) + EPSILON

    def detection_size(self, epoch: int) -> int:
        """Return the input size in pixels that a network detects best at after an epoch.

        Mosaics show objects as large as they are in the full input, whatever their own size.
        """
        is_full = self.config.augment_mosaic > 0 and self.mixes_images(epoch)
        return self.config.train_input_size if is_full else self.input_size(epoch)

    def last_step(self, epoch: int) -> int:
        """Return how many steps of the run are done when an epoch is."""
        return min((epoch + 1) * self.steps_per_epoch, self.total_steps)

    def epochs_after(self, step: int) -> int:
        """Return how many epochs have all their steps among the first `step` ones."""
        return self.epochs if step >= self.total_steps else step // self.steps_per_epoch

    def pixels_before(self, step: int) -> int:
        """Return the pixels of all images in the first `step` steps, which their time follows."""
        per_epoch, pixels = self.steps_per_epoch, 0
        for epoch in range(self.epochs):
            steps = min(max(step - epoch * per_epoch, 0), per_epoch)
            pixels += steps * self.batch_size * self.pixels_of(epoch)
        return pixels

    def pixels_of(self, epoch: int) -> int:
        """Return the pixels of an image in an epoch, on average over the sizes of its batches."""
        scales = self.config.augment_sizes
        squares = [rounded_size(self.input_size(epoch) * scale) ** 2 for scale in scales]
        return sum(squares) // len(squares)


def lengths(config: Config, steps_per_epoch: int) -> tuple[int, int]:
    """Return the steps of the warm-up and of the run, at least 1."""
    warmup_steps = round(config.train_warmup_epochs * steps_per_epoch)
    return warmup_steps, max(1, round(config.train_epochs * steps_per_epoch))


def is_out_of_patience(config: Config, epochs_done: int, best_epoch: int) -> bool:
    """Tell whether as many epochs as `patience` allows have passed since the best one.

    Only those at the last input size count: before it the better ones are still to come.
    """
    last_size = input_size_of(config, math.ceil(config.train_epochs) - 1)
    since = best_epoch
    for epoch in range(best_epoch, epochs_done):
        if input_size_of(config, epoch) != last_size:
            since = epoch + 1
    return 0 < config.patience <= epochs_done - since


def learning_rate_schedule(
    peak: float, end: float, warmup_steps: int, total_steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return linear warm-up from 0 to `peak`, then cosine decay to `end` at the last step.

    Graphs that were built with it follow `set_length`.
    Source: He et al. 2019, "Bag of Tricks for Image Classification", sections 3.1 and 5.1.
    """
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=tf.Variable(1, trainable=False),
        alpha=end / peak,
        warmup_target=peak,
        warmup_steps=tf.Variable(0, trainable=False),
    )
    set_length(rate, warmup_steps, total_steps)
    return rate


def set_length(rate, warmup_steps: int, total_steps: int) -> None:
    """Change the steps of a `learning_rate_schedule`.

    A warm-up as long as the run, or longer, leaves one step of decay: nothing divides by zero.
    """
    rate.warmup_steps.assign(warmup_steps)
    rate.decay_steps.assign(max(1, total_steps - warmup_steps))


def input_size_of(config: Config, epoch: int) -> int:
    """Return the input size in pixels of an epoch (from 0).

    The run is cut into equal parts, one for each of `train_input_scales`, which is its fraction of
    `train_input_size`, rounded to a multiple of 32. The last epoch always has the last scale.
    """
    scales = config.train_input_scales
    part = min(math.ceil((epoch + 1) / config.train_epochs * len(scales)), len(scales)) - 1
    return rounded_size(config.train_input_size * scales[part])


def rounded_size(pixels: float) -> int:
    """Return the nearest input size: a multiple of 32."""
    return max(SIZE_MULTIPLE, round(pixels / SIZE_MULTIPLE) * SIZE_MULTIPLE)


def size_of_step(input_size: int, step: int, sizes, seed: int) -> int:
    """Return the input size in pixels of a step's batch: `input_size` times one of `sizes`.

    It is rounded to a multiple of 32. Each of K sizes comes once in K steps, in a random order.
    """
    block, place = divmod(step, len(sizes))
    order = np.random.default_rng([seed, block]).permutation(len(sizes))
    return rounded_size(input_size * sizes[order[place]])
