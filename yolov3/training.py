"""The training loop, written out once: step, validate, keep the best, save, go on."""

import math
import time
from enum import Enum

import tensorflow as tf

from yolov3.augment import Augmentation
from yolov3.checkpoints import Checkpoint, save_checkpoint
from yolov3.configs import Config, config_to_json
from yolov3.dataset import training_batches
from yolov3.interrupts import StopRequest
from yolov3.learner import Learner
from yolov3.precision import choose_precision
from yolov3.runs import Run
from yolov3.schedule import input_size_of
from yolov3.summaries import Summaries
from yolov3.training_progress import TrainingProgress, format_seconds
from yolov3.transfer import transfer_weights
from yolov3.validation import Validator
from yolov3.weights import assign_by_name, named_variables, to_arrays

SECONDS_BETWEEN_SAVES = 240  # within long epochs, so that a power cut costs minutes
MOST_BAD_STEPS = 10  # in a row; a single one is bad luck


class Outcome(Enum):
    """How a run ended; the value is the exit code."""

    FINISHED = 0
    DIVERGED = 1
    INTERRUPTED = 130


class Training:
    """One run: what it learns, and from what. Nothing is written before `fit`."""

    def __init__(self, config: Config, records, test_records, class_names):
        """Build everything a run needs; `test_records` may be empty, for no validation."""
        self.config, self.records, self.class_names = config, records, class_names
        self.steps_per_epoch = math.ceil(len(records) / config.train_batch_size)
        self.total_steps = self.steps_per_epoch * config.train_epochs
        precision = choose_precision(config.precision)
        with distribution_strategy().scope():
            self.learner = Learner(config, len(class_names), self.steps_per_epoch, precision)
        self.validate = (
            Validator(config, test_records, class_names, precision) if test_records else None
        )
        self.progress = TrainingProgress()
        self.best = -1.0  # the highest validation AP so far, at the newest input size
        self.best_size = 0  # pixels
        self.metrics: dict[str, float] = {}  # of the newest validation
        self.bad_steps = 0  # in a row
        self.is_frozen = False
        self.seconds = 0.0  # spent in fit

    def resume(self, checkpoint: Checkpoint):
        """Take up where a "last" checkpoint stopped. Raises ValueError if it does not fit."""
        assign_by_name(self.learner.variables(), checkpoint.resume_state())
        self.metrics = checkpoint.metrics
        self.best, self.best_size = checkpoint.best_AP, checkpoint.best_size

    def start_from(self, source: str, scope: str):
        """Copy layers of a trained network and print which. Raises ValueError if it is another."""
        print(transfer_weights(self.learner.model, source, scope), flush=True)
        self.learner.start_average()

    def fit(self, run: Run) -> Outcome:
        """Train to the last epoch, to Ctrl-C, or to the tenth non-finite step in a row.

        Checkpoints and log go to the folders of `run`.
        """
        self.run, self.summaries = run, Summaries(run.log)
        started = time.monotonic()
        try:
            return self._fit()
        finally:
            self.seconds = time.monotonic() - started
            self.summaries.close()

    def _fit(self) -> Outcome:
        self.summaries.settings(config_to_json(self.config))
        with StopRequest() as stop:
            for epoch in range(self.step // self.steps_per_epoch, self.config.train_epochs):
                self._freeze_or_free(epoch)
                outcome = self._train_epoch(epoch, stop)
                if outcome is Outcome.FINISHED:
                    self._finish_epoch(epoch)
                    outcome = Outcome.INTERRUPTED if stop.requested else Outcome.FINISHED
                if outcome is not Outcome.FINISHED and self.step < self.total_steps:
                    return outcome
        return Outcome.FINISHED

    @property
    def step(self) -> int:
        """Steps done since the start of the run, resumed ones included."""
        return int(self.learner.step_count)

    def _freeze_or_free(self, epoch):
        frozen = epoch < self.config.freeze_epochs
        if frozen != self.is_frozen:
            self.learner.set_frozen(frozen)
            self.is_frozen = frozen
            state = "frozen" if frozen else "free to learn"
            self.progress.message(f"epoch {epoch + 1}: the backbone is {state}")

    def _train_epoch(self, epoch, stop) -> Outcome:
        """Take the steps that are left of an epoch."""
        config, size = self.config, self._input_size(epoch)
        first, end = self.step, (epoch + 1) * self.steps_per_epoch
        first_done = first - epoch * self.steps_per_epoch + 1
        self.progress.start_epoch(
            epoch, config.train_epochs, self.steps_per_epoch, config.train_batch_size, size
        )
        batches = training_batches(
            self.records,
            _augmentation(config),
            config.seed,
            config.train_batch_size,
            size,
            (first, end),
        )
        last_save = time.monotonic()
        for done, batch in enumerate(self._distribute(batches), start=first_done):
            self._take_step(batch, done, epoch, size)
            if self.bad_steps >= MOST_BAD_STEPS:
                self.progress.message(
                    f"{MOST_BAD_STEPS} steps in a row, up to step {self.step}, had a loss or "
                    "gradient that is not finite; no weight took part in them. "
                    "Try a lower --train-lr-init."
                )
                return Outcome.DIVERGED
            if done < self.steps_per_epoch and stop.requested:
                self._save("last", epoch)
                return Outcome.INTERRUPTED
            if time.monotonic() - last_save > SECONDS_BETWEEN_SAVES:
                self._save("last", epoch)
                last_save = time.monotonic()
        return Outcome.FINISHED

    def _take_step(self, batch, done, epoch, size):
        metrics = {name: value.numpy() for name, value in self.learner.step(*batch).items()}
        if not metrics["finite"]:
            self.bad_steps += 1
            self.progress.message(
                f"step {self.step}: loss or gradient not finite; this step is skipped"
            )
            return
        self.bad_steps = 0
        self.summaries.step(self.step, metrics)
        self.progress.step(done, metrics, self._pixels_left(done, epoch, size))

    def _finish_epoch(self, epoch):
        """Validate, keep the best, save the last."""
        started, size = time.monotonic(), self._input_size(epoch)
        if self.validate:
            self.metrics = self.validate(self.learner.average, size)
            self.summaries.validation(self.step, self.metrics)
        is_new_size = size != self.best_size  # mAP of different sizes are different quantities
        is_best = not self.validate or is_new_size or self.metrics["AP"] >= self.best
        if is_best:
            self.best, self.best_size = self.metrics.get("AP", -1.0), size
            self._save("best", epoch)
        self._save("last", epoch)
        self.summaries.flush()
        if self.validate:
            self.progress.message(
                f"validation: loss {self.metrics['total']:.2f}  mAP50 {self.metrics['AP50']:.4f}"
                f"  mAP75 {self.metrics['AP75']:.4f}  mAP {self.metrics['AP']:.4f}"
                f"  ({format_seconds(time.monotonic() - started)})"
                f"{', best so far' if is_best else ''}"
            )

    def _save(self, kind, epoch):
        state = {
            "class_names": self.class_names,
            "step": self.step,
            "epoch": epoch,
            "metrics": self.metrics,
            "best_AP": self.best,
            "best_size": self.best_size,
            "input_size": self._input_size(epoch),
        }
        resume = None
        if kind == "last":
            resume = to_arrays(self.learner.variables())
        weights = to_arrays(named_variables(self.learner.average))
        return save_checkpoint(self.run.checkpoints, kind, self.config, state, weights, resume)

    def _input_size(self, epoch):
        config = self.config
        return input_size_of(
            epoch, config.train_epochs, config.train_input_size, config.train_input_scales
        )

    def _pixels_left(self, done, epoch, size):
        """Return the pixels of all steps to come: this epoch's and the later ones'."""
        sizes = [self._input_size(later) for later in range(epoch + 1, self.config.train_epochs)]
        per_picture = (self.steps_per_epoch - done) * size**2
        per_picture += self.steps_per_epoch * sum(later**2 for later in sizes)
        return per_picture * self.config.train_batch_size

    def _distribute(self, batches):
        strategy = self.learner.strategy
        return (
            strategy.experimental_distribute_dataset(batches)
            if strategy.num_replicas_in_sync > 1
            else batches
        )


def distribution_strategy() -> tf.distribute.Strategy:
    """Return one that uses all GPUs, or TensorFlow's default for one device."""
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _augmentation(config):
    return Augmentation(
        **{name: getattr(config, f"augment_{name}") for name in Augmentation._fields}
    )
