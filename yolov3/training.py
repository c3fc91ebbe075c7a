"""The training loop, written out once: step, validate, keep the best, save, go on."""

import time
from enum import Enum

from yolov3.augment import Augmentation
from yolov3.checkpoints import Checkpoint
from yolov3.cli.run import StopRequest
from yolov3.configs import Config
from yolov3.data.annotation_check import fingerprint
from yolov3.dataset import NONE, training_batches
from yolov3.kernels.precision import choose_precision
from yolov3.runs.checkpoint_manager import CheckpointManager
from yolov3.runs.distribution import distribute_batches, distribution_strategy, gather
from yolov3.runs.plan import Plan
from yolov3.runs.run_folders import Run
from yolov3.runs.run_logger import RunLogger
from yolov3.runs.save_clock import SaveTimer
from yolov3.runs.skipped_steps import MOST_IN_A_ROW
from yolov3.runs.unreadable import nothing_readable
from yolov3.train_step import TrainStep
from yolov3.validation import Validator
from yolov3.weights.transfer import transfer_weights


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
        self.plan = Plan(config, len(records))
        precision = choose_precision(config.precision)
        with distribution_strategy(config.train_batch_size).scope():
            self.learner = TrainStep(config, len(class_names), self.plan.steps_per_epoch, precision)
        self.validate = (
            Validator(config, test_records, class_names, precision) if test_records else None
        )
        data = {"trained_on": fingerprint(records), "validated_on": fingerprint(test_records)}
        self.keeper = CheckpointManager(config, class_names, self.learner, data)
        self.journal = RunLogger(self.plan, records, class_names, self.learner.strategy)
        self.epochs_done = 0  # trained, validated and saved
        self.is_validated = True  # if the last step ends an epoch
        self.settings_to_log = config.to_json()
        self.is_frozen = False
        self.seconds = 0.0  # spent in fit

    def resume(self, checkpoint: Checkpoint):
        """Take up where a "last" checkpoint stopped. Raises ValueError if it does not fit."""
        self.keeper.resume(checkpoint)
        full_epochs, steps_more = divmod(self.step, self.plan.steps_per_epoch)
        is_validation_missing = steps_more == 0 and checkpoint.epoch == full_epochs - 1
        self.epochs_done = full_epochs - is_validation_missing
        self.is_validated = not is_validation_missing
        if self.config == checkpoint.config:
            self.settings_to_log = ""  # they are in the log already

    def start_from(self, source: str, scope: str):
        """Copy layers of a trained network and print which. Raises ValueError if it is another."""
        model, anchors = self.learner.model, self.config.anchors
        print(transfer_weights(model, source, scope=scope, anchors=anchors), flush=True)
        self.learner.reset_ema()

    @property
    def step(self) -> int:
        """Steps done since the start of the run, resumed ones included."""
        return int(self.learner.step_count)

    def fit(self, run: Run) -> Outcome:
        """Train to the last epoch, to Ctrl-C, or to the tenth skipped step in a row.

        Checkpoints and log go to the folders of `run`. Raises OSError where the disk fails, and
        where no image can be read any more.
        """
        self.run, self.saves, started = run, SaveTimer(), time.monotonic()
        self.journal.open(run.log, self.step, self.is_validated, self.settings_to_log)
        try:
            with StopRequest() as stop:
                outcome = self._train(stop)
            if outcome is not Outcome.DIVERGED:  # of which the journal has told
                self.journal.log_summary(int(self.learner.skipped_steps))
            return outcome
        finally:
            self.seconds = time.monotonic() - started
            self.journal.close()

    def _train(self, stop) -> Outcome:
        """Take the epochs that are left."""
        for epoch in range(self.epochs_done, self.plan.epochs):
            self._freeze_or_free(epoch)
            outcome = self._train_epoch(epoch, stop)
            if outcome is not Outcome.FINISHED:
                return outcome
            self._finish_epoch(epoch)
            if stop.requested and self.epochs_done < self.plan.epochs:
                return Outcome.INTERRUPTED
        return Outcome.FINISHED

    def _train_epoch(self, epoch, stop) -> Outcome:
        """Take the steps that are left of an epoch."""
        self.journal.start_epoch(epoch)
        for *batch, indices in self._batches(epoch):
            indices = gather(self.learner.strategy, indices)
            if (indices == NONE).any():
                self._save("last", epoch)
                raise nothing_readable(self.records)
            metrics = {name: value.numpy() for name, value in self.learner.step(*batch).items()}
            self.saves.done("step")
            self.journal.step(self.step, metrics, batch, indices)
            if metrics["skipped_in_a_row"] >= MOST_IN_A_ROW:
                self.journal.divergence(self.step, metrics, indices)
                return Outcome.DIVERGED
            is_last = self.step == self.plan.last_step(epoch)
            if stop.requested or self.saves.is_due("validation" if is_last else "step"):
                self._save("last", epoch)
            if stop.requested:
                return Outcome.INTERRUPTED
        return Outcome.FINISHED

    def _finish_epoch(self, epoch):
        """Validate, keep the best, save the last."""
        started, size = time.monotonic(), self.plan.input_size(epoch)
        metrics = {}
        if self.validate:
            metrics = self.validate(self.learner.average, size)
            found = self.validate.examples, self.validate.unreadable
            self.journal.validation(self.step, metrics, *found)
        self.epochs_done = epoch + 1
        is_best = self.keeper.update_best(metrics, size)
        if is_best:
            self._save("best", epoch)
        self.saves.done("validation")
        self._save("last", epoch)
        if self.validate:
            self.journal.log_validation(metrics, is_best, time.monotonic() - started)

    def _save(self, kind, epoch):
        self.journal.flush()  # first: no step of a checkpoint may be missing in the log
        self.keeper.save(kind, self.run.checkpoints, self.epochs_done, self.plan.input_size(epoch))
        if kind == "last":
            self.saves.done("save")

    def _batches(self, epoch):
        config, steps = self.config, (self.step, self.plan.last_step(epoch))
        size, per_step = self.plan.input_size(epoch), config.train_batch_size
        changes = Augmentation(*(getattr(config, f"augment_{x}") for x in Augmentation._fields))
        batches = training_batches(self.records, changes, config.seed, per_step, size, steps)
        return distribute_batches(self.learner.strategy, batches)

    def _freeze_or_free(self, epoch):
        frozen = epoch < self.config.freeze_epochs
        if frozen != self.is_frozen:
            self.learner.set_frozen(frozen)
            self.is_frozen = frozen
            self.journal.freezing(epoch, frozen)
