"""What a run tells: its progress line, its messages, and its TensorBoard log."""

from yolov3.runs.distribution import gather
from yolov3.runs.event_files import undo_events_after
from yolov3.runs.plan import Plan
from yolov3.runs.skipped_steps import MOST_LOGGED, describe_skip, divergence_report
from yolov3.runs.summaries import Summaries
from yolov3.runs.training_progress import TrainingProgress, format_seconds
from yolov3.runs.unreadable import Unreadable


class RunLogger:
    """Tell people and the log what happens; steps are counted from 1."""

    def __init__(self, plan: Plan, records, class_names: list[str], strategy):
        self.plan, self.records, self.class_names = plan, records, class_names
        self.strategy = strategy
        self.progress = TrainingProgress()
        self.unreadable = Unreadable(lambda text: self.progress.message(text))

    def open(self, folder, step: int, is_validated: bool, settings: str) -> None:
        """Begin or go on with a log after `step` steps; note the settings unless they are empty.

        `is_validated` tells whether a validation after that step is done and stays in the log.
        Raises OSError, as all methods do, where the log cannot be written.
        """
        undo_events_after(folder, step, is_validated)
        self.summaries = Summaries(folder)
        if settings:
            self.summaries.settings(step + 1, settings)

    def start_epoch(self, epoch: int) -> None:
        """Begin the progress line of an epoch (from 0)."""
        self.epoch, plan = epoch, self.plan
        self.progress.start_epoch(
            epoch, plan.epochs, plan.steps_per_epoch, plan.batch_size, plan.input_size(epoch)
        )

    def freezing(self, epoch: int, frozen: bool) -> None:
        """Say whether the backbone learns from an epoch on."""
        state = "frozen" if frozen else "free to learn"
        self.progress.message(f"epoch {epoch + 1}: the backbone is {state}")

    def step(self, step: int, metrics: dict, batch, indices) -> None:
        """Note a step that learned from a batch, or was skipped.

        `batch` and `indices` are as of `training_batches`.
        """
        self._name_replaced(step, indices)
        if metrics["finite"]:
            self.summaries.step(step, metrics)
            done = self.plan.steps_per_epoch - (self.plan.last_step(self.epoch) - step)
            self.progress.step(done, metrics, self.plan.pixels_left(self.epoch, step))
        else:
            self._show_skipped(step, metrics, batch, indices)

    def divergence(self, step: int, metrics: dict, indices) -> None:
        """Say why the run ends."""
        self.progress.message(divergence_report(step, metrics, self._paths(indices)))

    def validation(self, step: int, metrics: dict, examples, unreadable: list[str]) -> None:
        """Note the losses and mAP of an epoch, and what was found in some images."""
        self.summaries.validation(step, metrics, examples)
        if unreadable:
            self.unreadable.add(unreadable, "it counts as one in which nothing was found")
            self.summaries.unreadable_images("validate", step, len(unreadable))

    def log_validation(self, metrics: dict, is_best: bool, seconds: float) -> None:
        """Say how good an epoch is."""
        self.progress.message(
            f"validation: loss {metrics['total']:.2f}  mAP50 {metrics['AP50']:.4f}"
            f"  mAP75 {metrics['AP75']:.4f}  mAP {metrics['AP']:.4f}"
            f"  ({format_seconds(seconds)}){', best so far' if is_best else ''}"
        )

    def log_summary(self, skipped_steps: int) -> None:
        """Say at the end of a run what was skipped in it, if anything was."""
        if skipped_steps:
            steps = f"{skipped_steps} step{'s' * (skipped_steps > 1)}"
            self.progress.message(f"{steps} of this run had no finite loss or gradient: skipped")
        if summary := self.unreadable.summary():
            self.progress.message(summary)

    def flush(self) -> None:
        """Have the disk hold what was noted so far."""
        self.summaries.flush()

    def close(self) -> None:
        """Write what is left of the log."""
        self.summaries.close()

    def _show_skipped(self, step, metrics, batch, indices):
        self.summaries.skipped_step(step, metrics)
        self.progress.message(describe_skip(step, self._paths(indices)))
        if metrics["skipped_steps"] <= MOST_LOGGED:
            arrays = [gather(self.strategy, part) for part in batch]
            self.summaries.skipped_images(step, *arrays, self.class_names)

    def _name_replaced(self, step, indices):
        replaced = [wanted for wanted, found in indices if wanted != found]
        if replaced:
            paths = [self.records[index].image_path for index in replaced]
            self.unreadable.add(paths, "the next one in the file takes its place")
            self.summaries.unreadable_images("train", step, len(replaced))

    def _paths(self, indices):
        return [self.records[index].image_path for _, index in indices]
