"""The checkpoints of a run: the best by validation and the last, saved often enough."""

import math
import time
from pathlib import Path

import numpy as np

from yolov3.checkpoints import Checkpoint, save_checkpoint
from yolov3.configs import Config, changed_settings
from yolov3.runs.resources import Pace
from yolov3.train_step import TrainStep
from yolov3.weights import assign_by_name, state_dict

# Settings on which a validation mAP depends besides the weights.
VALIDATION_SETTINGS = {"test_annot_path", "test_iou_threshold"}
BEST_IS_RESET = "weights unaffected; best checkpoint reset"
CHANGED_DATA = {  # by the names of `Checkpoint`
    "trained_on": "images to train on, or their boxes (the run will differ)",
    "validated_on": f"images to validate on, or their boxes ({BEST_IS_RESET})",
    "replicas": "number of devices (the same images and rates; rounding and the parts of a batch "
    "that are normalised together differ)",
}
LOSS_SCALE = "optimizer/loss_scale/"  # of float16 alone, as `TrainStep.variables` names them
USED = "seconds_used"  # of a budget, beside these variables
MAX_SECONDS_LOST = 300.0
FIRST_VALIDATION = 60.0  # seconds: a guess until one was measured


class CheckpointManager:
    """Save what a run has learned, and how good that is; resume it."""

    def __init__(self, config: Config, class_names: list[str], train_step: TrainStep, data: dict):
        """Save what `train_step` learns from `data`, whose names are those of `CHANGED_DATA`."""
        self.config, self.class_names = config, class_names
        self.train_step, self.data = train_step, data
        self.epochs_done = 0  # trained, validated and saved
        self.metrics: dict[str, float] = {}  # of the newest validation
        self.best_mAP = -1.0  # the highest validation mAP so far, at the largest input size
        self.best_size = 0  # pixels
        self.best_epoch = 0  # how many were done with it
        self.pace = Pace(config.max_minutes)

    def start(self, folder: Path | None) -> None:
        """Save to a run's folder from now on; None is for workers whose chief saves."""
        self.folder, self.timer = folder, SaveTimer()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Load a "last" checkpoint. Raises ValueError if it does not fit.

        If the validation settings or images changed, the best checkpoint is reset.
        """
        state = checkpoint.resume_state()
        used = state.pop(USED, np.zeros(()))
        if used.shape or not used >= 0:
            raise ValueError(f"{USED}: expected a number; received {used.tolist()!r:.80}")
        self.pace.used_before = float(used)
        was_scaled = any(name.startswith(LOSS_SCALE) for name in state)
        if was_scaled != self.train_step.scales_loss:
            it_was = "was" if was_scaled else "was not"
            raise ValueError(f"precision: this run {it_was} trained in float16; resume it so")
        assign_by_name(self.train_step.variables(), state)
        self.metrics, self.best_epoch = checkpoint.metrics, checkpoint.epoch
        changed = set(changed_settings(checkpoint.config, self.config))
        changed.update(self.changed_data(checkpoint))
        if changed.isdisjoint({"validated_on", *VALIDATION_SETTINGS}):
            self.best_mAP, self.best_size = checkpoint.best_mAP, checkpoint.best_size
            self.best_epoch = checkpoint.best_epoch

    def changed_data(self, checkpoint: Checkpoint) -> list[str]:
        """Return the names of data sets that changed since a checkpoint."""
        return [name for name, now in self.data.items() if getattr(checkpoint, name) != now]

    def update_best(self, metrics: dict[str, float], input_size: int) -> bool:
        """Record the metrics of a validation (empty without one); return whether they are the best.

        mAPs at different input sizes cannot be compared: the larger size counts. Without a
        validation the newest weights are the best.
        """
        self.metrics = metrics
        mean = metrics.get("mAP", -1.0)
        # NaN, where no image has a box, is no reason to keep older weights.
        is_no_worse = input_size == self.best_size and not mean < self.best_mAP
        is_best = not metrics or input_size > self.best_size or is_no_worse
        if is_best:
            self.best_size, self.best_epoch = input_size, self.epochs_done + 1
            self.best_mAP = -1.0 if math.isnan(mean) else mean
        return is_best

    def save(self, kind: str, input_size: int, logger) -> None:
        """Write a checkpoint, "best" or "last". Raises OSError.

        The log is written first: it may hold more than the checkpoint, but never less.
        """
        if not self.folder:
            return
        logger.flush()
        state = {
            "class_names": self.class_names,
            "step": self.train_step.step,
            "epoch": self.epochs_done,
            "metrics": self.metrics,
            "best_mAP": self.best_mAP,
            "best_size": self.best_size,
            "best_epoch": self.best_epoch,
            "input_size": input_size,
            **self.data,
        }
        weights = state_dict(self.train_step.ema)
        resume = state_dict(self.train_step.variables()) if kind == "last" else None
        if resume and self.config.max_minutes:  # without, the file depends on no clock
            resume[USED] = np.array(self.pace.used)
        save_checkpoint(self.folder, kind, self.config, state, weights, resume)
        if kind == "last":
            self.timer.done("save")


class SaveTimer:
    """Tell when the next save is due; the run says what it has just done.

    A crash loses everything since the last complete save began. So the next one must be complete
    within `MAX_SECONDS_LOST` of that; each step, validation and save is expected to take as long
    as the longest of its kind so far.
    """

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._safe_at = self._last = clock()
        self._longest = {"step": 0.0, "save": 0.0}

    def is_due(self, before: str) -> bool:
        """Tell whether to save before another "step" or "validation"."""
        expected = self._longest.get(before, FIRST_VALIDATION)
        next_save_ends = self._clock() + expected + self._longest["save"]
        return next_save_ends - self._safe_at > MAX_SECONDS_LOST

    def done(self, what: str) -> None:
        """Say that all since the last call was a "step", a "validation" or a "save"."""
        now = self._clock()
        self._longest[what] = max(self._longest.get(what, 0.0), now - self._last)
        if what == "save":
            self._safe_at = self._last
        self._last = now
