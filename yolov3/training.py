"""The training loop, written out once: step, validate, save."""

import time
from enum import Enum
from itertools import islice, takewhile

import tensorflow as tf

from yolov3.dataset import NONE
from yolov3.schedule import TrainingSchedule, is_out_of_patience
from yolov3.train_step import TrainStep

FETCHED = 10  # steps at once: a GPU would wait for Python after each
MAX_SKIPPED_IN_A_ROW = 10  # steps that are not finite: a single one is bad luck


class Outcome(Enum):
    """How a run ended; the value is the exit code, None where it goes on."""

    FINISHED = 0
    DIVERGED = 1
    REPLANNED = None  # the rest is to follow another schedule, `manager.pace.schedule`
    INTERRUPTED = 130


def train(
    train_step: TrainStep, make_batches, validate, schedule: TrainingSchedule, manager, logger, stop
) -> Outcome:
    """Train to the last epoch or the end of patience, to Ctrl-C, a change of plan, or divergence.

    `make_batches(input_size, (first_step, last_step))` yields (images, boxes_xyxy, classes,
    indices) as `dataset.training_batches`; `validate(model, input_size)` returns metrics, or is
    None for no validation. `manager` saves checkpoints, and knows how many epochs are done and
    whether the run keeps its `pace`; `logger` tells people and TensorBoard, and `stop.requested`
    asks to end. Raises OSError where the disk fails or no image can be read any more.
    """
    for epoch in range(manager.epochs_done, schedule.epochs):
        freeze(train_step, epoch, logger)
        steps = train_step.step, schedule.last_step(epoch)
        batches = make_batches(schedule.input_size(epoch), steps)
        outcome = train_one_epoch(train_step, batches, epoch, schedule, manager, logger, stop)
        if outcome is not Outcome.FINISHED:
            return outcome
        finish_epoch(train_step, validate, epoch, schedule, manager, logger)
        if is_out_of_patience(schedule.config, epoch + 1, manager.best_epoch):
            break
        if stop.requested and epoch + 1 < schedule.epochs:
            return Outcome.INTERRUPTED
    return Outcome.FINISHED


def train_one_epoch(
    train_step: TrainStep, batches, epoch: int, schedule: TrainingSchedule, manager, logger, stop
) -> Outcome:
    """Take the steps that are left of an epoch, and save whenever it is due or asked for."""
    input_size, last_step = schedule.detection_size(epoch), schedule.last_step(epoch)
    readable = takewhile(lambda batch: not (batch[-1] == NONE).any(), batches)
    step = train_step.step
    while step < last_step:
        if manager.pace.changed(step):
            return Outcome.REPLANNED
        count = min(steps_at_once(), max(last_step - step - 1, 1))  # a pace looks before the last
        taken = take_steps(train_step, islice(readable, count), stop)
        if not taken:
            manager.save("last", input_size, logger)
            raise OSError("none of the images to train on can be read any more")
        manager.timer.done("step")
        for metrics, batch, indices in taken:
            step += 1
            logger.log_step(step, epoch, metrics, batch, indices)
            if metrics["skipped_in_a_row"] >= MAX_SKIPPED_IN_A_ROW:
                logger.log_divergence(step, metrics, indices)
                return Outcome.DIVERGED
        is_last = step == last_step
        if stop.requested or manager.timer.is_due("validation" if is_last else "step"):
            manager.save("last", input_size, logger)
        if stop.requested:
            return Outcome.INTERRUPTED
    return Outcome.FINISHED


def take_steps(train_step: TrainStep, batches, stop) -> list[tuple]:
    """Take a step for each batch; return (metrics as numbers, batch, indices) of each.

    The metrics are fetched when all steps have been asked for: each fetch waits for the device.
    """
    taken = []
    for *batch, indices in batches:
        taken.append((train_step(*batch), batch, indices))
        if stop.requested:
            break
    return [({name: x.numpy() for name, x in metrics.items()}, *rest) for metrics, *rest in taken]


def steps_at_once() -> int:
    """Return how many steps are taken before their metrics are fetched."""
    return FETCHED if tf.config.list_physical_devices("GPU") else 1


def finish_epoch(
    train_step: TrainStep, validate, epoch: int, schedule: TrainingSchedule, manager, logger
) -> None:
    """Validate the EMA, and save it as the last checkpoint, and as the best if it is."""
    started, input_size = time.monotonic(), schedule.detection_size(epoch)
    metrics = validate(train_step.ema, input_size) if validate else {}
    is_best = manager.update_best(metrics, input_size)
    if validate:
        step, seconds = train_step.step, time.monotonic() - started
        logger.log_validation(step, metrics, is_best, seconds, validate)
    logger.log_network(train_step.step, train_step.ema)
    manager.epochs_done = epoch + 1
    if is_best:
        manager.save("best", input_size, logger)
    manager.timer.done("validation")
    manager.save("last", input_size, logger)


def freeze(train_step: TrainStep, epoch: int, logger) -> None:
    """Freeze the backbone for the first epochs, and unfreeze it after them."""
    is_frozen = epoch < train_step.config.freeze_epochs
    if is_frozen != train_step.is_frozen:
        train_step.set_frozen(is_frozen)
        logger.log_freezing(epoch, is_frozen)
