"""What a run will do: how many steps, at which input size."""

import math

from yolov3.configs import Config
from yolov3.schedule import input_size_of


class Plan:
    """The epochs of a run and the steps in them; both are counted from 0."""

    def __init__(self, config: Config, num_records: int):
        self._config = config
        self.batch_size = config.train_batch_size
        self.epochs = config.train_epochs
        self.steps_per_epoch = math.ceil(num_records / config.train_batch_size)
        self.total_steps = self.steps_per_epoch * self.epochs

    def input_size(self, epoch: int) -> int:
        """Return the input size of an epoch in pixels."""
        config = self._config
        return input_size_of(epoch, self.epochs, config.train_input_size, config.train_input_scales)

    def last_step(self, epoch: int) -> int:
        """Return how many steps of the run are done when an epoch is."""
        return (epoch + 1) * self.steps_per_epoch

    def pixels_left(self, epoch: int, step: int) -> int:
        """Return the pixels of the steps to come in an epoch and after it, after `step` steps."""
        this = (self.last_step(epoch) - step) * self.input_size(epoch) ** 2
        sizes = [self.input_size(later) for later in range(epoch + 1, self.epochs)]
        later = self.steps_per_epoch * sum(size**2 for size in sizes)
        return (this + later) * self.batch_size
