"""Keep the checkpoints of a run: the best by validation, and the newest."""

import math
from pathlib import Path

from yolov3.checkpoints import Checkpoint, save_checkpoint
from yolov3.configs import Config, changed_settings
from yolov3.train_step import TrainStep
from yolov3.weights.by_name import assign_by_name, named_variables, state_dict

# Settings on which a validation mAP depends besides the weights: those of two are not compared.
VALIDATION_SETTINGS = {"test_annot_path", "test_iou_threshold"}
LOSS_SCALE = "optimizer/loss_scale/"  # of float16 alone, as `TrainStep.variables` names them


class CheckpointManager:
    """Save what a run has learned, and how good that is; take it up again."""

    def __init__(
        self, config: Config, class_names: list[str], learner: TrainStep, data: dict[str, str]
    ):
        """Keep what `learner` learns; `data` holds fingerprints: "trained_on", "validated_on"."""
        self.config, self.class_names, self.learner, self.data = config, class_names, learner, data
        self.metrics: dict[str, float] = {}  # of the newest validation
        self.best = -1.0  # the highest validation AP so far, at the largest input size
        self.best_size = 0  # pixels

    def resume(self, checkpoint: Checkpoint) -> None:
        """Take up where a "last" checkpoint stopped. Raises ValueError if it does not fit.

        Validated in another way than before, the best is sought anew.
        """
        state = checkpoint.resume_state()
        was_scaled = any(name.startswith(LOSS_SCALE) for name in state)
        if was_scaled != self.learner.scales_loss:
            was, now = ("float16", "another") if was_scaled else ("another than float16", "float16")
            raise ValueError(f"precision: expected {was}, as it was trained; received {now}")
        assign_by_name(self.learner.variables(), state)
        self.metrics = checkpoint.metrics
        is_same_way = VALIDATION_SETTINGS.isdisjoint(
            changed_settings(checkpoint.config, self.config)
        )
        if is_same_way and "validated_on" not in self.changed_data(checkpoint):
            self.best, self.best_size = checkpoint.best_mAP, checkpoint.best_size

    def changed_data(self, checkpoint: Checkpoint) -> list[str]:
        """Name the data that differ from those of a checkpoint, where it says what they were."""
        before = {name: getattr(checkpoint, name) for name in self.data}
        return [name for name, now in self.data.items() if before[name] not in (now, "")]

    def update_best(self, metrics: dict[str, float], input_size: int) -> bool:
        """Take the metrics of a validation, none for none; tell whether they are the best so far.

        The mAPs of two sizes are different quantities, of which the larger size's counts. Without a
        validation the newest weights are the best ones.
        """
        self.metrics = metrics
        average_precision = metrics.get("AP", -1.0)
        # NaN, where no image has a box, is no reason to keep older weights.
        is_no_worse = input_size == self.best_size and not average_precision < self.best
        is_best = not metrics or input_size > self.best_size or is_no_worse
        if is_best:
            self.best_size = input_size
            self.best = -1.0 if math.isnan(average_precision) else average_precision
        return is_best

    def save(self, kind: str, folder: Path, epochs_done: int, input_size: int) -> None:
        """Write a checkpoint, "best" or "last", to the run's folder. Raises OSError."""
        state = {
            "class_names": self.class_names,
            "step": int(self.learner.step_count),
            "epoch": epochs_done,
            "metrics": self.metrics,
            "best_mAP": self.best,
            "best_size": self.best_size,
            "input_size": input_size,
            **self.data,
        }
        weights = state_dict(named_variables(self.learner.average))
        resume = state_dict(self.learner.variables()) if kind == "last" else None
        save_checkpoint(folder, kind, self.config, state, weights, resume)
