"""Progress line, console messages, TensorBoard log and results.csv of a run."""

import contextlib
import functools
import time
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from yolov3.cli.progress import Progress
from yolov3.configs import Config
from yolov3.darknet import network_operations
from yolov3.draw import draw_boxes
from yolov3.files import atomic_write, sync
from yolov3.images import ImageFileError, letterbox, read_image
from yolov3.runs.distribution import gather
from yolov3.runs.tensorboard import LOSS_TEXTS, MAP_TEXTS, TensorBoardLog, training_values
from yolov3.schedule import TrainingSchedule
from yolov3.text import counted, format_seconds, listed
from yolov3.training import MAX_SKIPPED_IN_A_ROW, Outcome
from yolov3.yolov3 import to_float

LOSSES, MAPS = tuple(LOSS_TEXTS), tuple(MAP_TEXTS)
LEARNED = ("lr", *(f"loss/{name}_loss" for name in LOSSES))  # tags of a step
RESULTS = "results.csv"
COLUMNS = ("epoch", "step", "minutes", "tflop", "input_size", "lr")
COLUMNS += (*(f"{name}_loss" for name in LOSSES), *(f"{name}_val" for name in LOSSES), *MAPS)
COLUMNS += ("best_threshold",)
WORK_OF_A_STEP = 3  # times the network's: forward, and one gradient each of inputs and weights
OUTPUTS_HW = 224, 224  # of the image whose activations are logged
MAX_NAMED = 8  # images in a message
MAX_BATCHES_SHOWN = 20  # skipped steps of a run whose images are logged: they take space
MAX_FILES_NAMED = 10  # unreadable images: the disk of all others may be gone too


class Results:
    """Write results.csv: a line per validation, each once however often a run is resumed."""

    def __init__(self, folder: Path, begins_at: int):
        """Drop the lines from a step on, which come again, and what a kill left half written."""
        self.path, self.started = folder / RESULTS, time.monotonic()
        text = self.path.read_text(errors="replace") if self.path.is_file() else ""
        rows = [line.split(",") for line in text.rpartition("\n")[0].splitlines()]
        rows = [row for row in rows if len(row) == len(COLUMNS) and row[1].isdecimal()]
        rows = [row for row in rows if int(row[1]) < begins_at]
        _, step, minutes, tflop, *_ = rows[-1] if rows else [0] * len(COLUMNS)
        self.step, self.minutes_before, self.tflop = int(step), float(minutes), float(tflop)
        with atomic_write(self.path) as partial:
            partial.write_text("".join(",".join(row) + "\n" for row in (COLUMNS, *rows)))

    def add(self, epoch: int, step: int, tflop: float, *numbers: float) -> None:
        """Append a line: `tflop` since the last one, numbers of the columns behind. Raises OSError.

        A TFLOP is 10^12 operations of the convolutions in the training.
        """
        minutes = self.minutes_before + (time.monotonic() - self.started) / 60
        numbers = (minutes, self.tflop + tflop, *numbers)
        texts = [str(epoch), str(step), *(f"{number:.6g}" for number in numbers)]
        self.step, self.tflop = step, float(texts[3])  # rounded, as after a resume
        try:
            with self.path.open("a") as stream:
                stream.write(",".join(texts) + "\n")
        except OSError as error:
            raise OSError(f"{self.path}: cannot be written: {error.strerror}") from None


class RunLogger:
    """Tell people and TensorBoard what happens. Use it in a `with` statement; steps are from 1."""

    def __init__(
        self, log: TensorBoardLog, schedule: TrainingSchedule, records, class_names, strategy
    ):
        self.log, self.schedule, self.records = log, schedule, records
        self.class_names, self.strategy = class_names, strategy
        self._unreadable = Counter()  # how often, by path
        self.results = Results(log.folder, log.begins_at)
        done = schedule.epochs_after(log.begins_at - 1) * schedule.steps_per_epoch
        before = training_values(log.folder, range(done + 1, log.step + 1)).values()
        self._learned = [  # of each step of this epoch that changed weights, as the tags
            [float(tf.make_ndarray(step[tag].tensor)) for tag in LEARNED]
            for step in before
            if step.keys() >= set(LEARNED)
        ]

    def __enter__(self):
        self.progress = Progress(self.schedule.pixels_before(self.schedule.total_steps))
        self.progress.__enter__()
        return self

    def __exit__(self, *error):
        self.progress.__exit__(*error)
        self.log.close()

    def log_start(self, step: int, config: Config | None, network: keras.Model) -> None:
        """Note how many steps are done already, and what the run is, unless it is logged."""
        self.progress.skip(self.schedule.pixels_before(step))
        if config:
            self.log.start(step + 1, config, self.class_names, network)

    def log_schedule(self, step: int, schedule: TrainingSchedule) -> None:
        """Say that the rest of the run, after `step`, follows another schedule."""
        before, self.schedule = self.schedule.config.train_epochs, schedule
        pixels = schedule.pixels_before(schedule.total_steps)
        self.progress.change_rest(pixels - schedule.pixels_before(step))
        epochs = f"{counted(schedule.config.train_epochs, 'epoch')} in place of {before:g}"
        self.progress.message(f"the speed has changed: {epochs}, to end in time")

    def log_freezing(self, epoch: int, frozen: bool) -> None:
        """Say whether the backbone learns from an epoch on."""
        state = "frozen" if frozen else "free to learn"
        self.progress.message(f"epoch {epoch + 1}: the backbone is {state}")

    def log_step(self, step: int, epoch: int, metrics: dict, batch, indices) -> None:
        """Log a step that learned from a batch, or was skipped.

        `batch` and `indices` are as of `training_batches`.
        """
        replaced = [self.records[index].image_path for index, used in indices if index != used]
        self._log_unreadable(step, "train", replaced, "the next one in the file takes its place")
        images = self.strategy.experimental_local_results(batch[0])[0]
        values = {"lr": metrics["lr"], "train/skipped_steps": metrics["skipped_steps"]}
        values["train/input_size"] = images.shape[1]
        if step == epoch * self.schedule.steps_per_epoch + 1:
            self._learned = []
        if metrics["finite"]:
            if np.isfinite(metrics["gradient_norm"]):  # scaled for float16 it may overflow
                values["train/gradient_norm"] = metrics["gradient_norm"]
            values |= {f"loss/{name}_loss": metrics[name] for name in LOSSES}
            self._learned.append([float(values[tag]) for tag in LEARNED])
        else:
            self._log_skipped(step, metrics, batch, indices)
        self.log.scalars(step, values)
        self.progress.advance(
            self.schedule.batch_size * self.schedule.pixels_of(epoch),
            functools.partial(self._progress_text, step, epoch, metrics),
            now=step == self.schedule.last_step(epoch),
        )

    def log_divergence(self, step: int, metrics: dict, indices) -> None:
        """Say why the run ends."""
        losses = ", ".join(f"{name} {metrics[name]:.4g}" for name in LOSSES[1:])
        for line in (
            f"training has diverged: the loss or gradient of the last {MAX_SKIPPED_IN_A_ROW} "
            f"steps was not finite. Step {step}:",
            f"  loss           {metrics['total']:.4g} ({losses})",
            f"  gradient norm  {metrics['gradient_norm']:.4g}",
            f"  learning rate  {metrics['lr']:.3g}",
            f"  images         {self._names(indices)}",
            "Try a lower --train-lr-init, or look at these images in TensorBoard, under Images.",
        ):
            self.progress.message(line)

    def log_validation(self, step, metrics: dict, is_best: bool, seconds: float, validate) -> None:
        """Log losses and mAP of an epoch, and the example detections of its `Validator`."""
        self.log.validation(step, validate)
        self.log.scalars(step, {f"validate_loss/{name}_val": metrics[name] for name in LOSSES})
        self.log.scalars(step, {f"mAP/{name}": metrics[name] for name in MAPS})
        self._add_results(step, metrics)
        consequence = "it counts as an image without detections"
        self._log_unreadable(step, "validate", validate.unreadable, consequence)
        maps = "  ".join(f"{name} {metrics[name]:.4f}" for name in MAPS)
        self.progress.message(
            f"validation: loss {metrics['total']:.2f}  {maps}"
            f"  ({format_seconds(seconds)}){', best so far' if is_best else ''}"
        )

    def log_network(self, step: int, network: keras.Model) -> None:
        """Log the weights of a network, and its activations for the first image."""
        with contextlib.suppress(ImageFileError):
            image = letterbox(read_image(self.records[0].image_path), OUTPUTS_HW)
            self.log.network(step, network, to_float(image[np.newaxis]))

    def _add_results(self, step, metrics):
        schedule, epoch = self.schedule, self.schedule.epochs_after(step)
        pixels = schedule.pixels_before(step) - schedule.pixels_before(self.results.step)
        operations = network_operations(schedule.config.tiny, len(self.class_names))
        learned = np.array(self._learned or [[np.nan] * len(LEARNED)])
        numbers = [learned[-1, 0], *learned[:, 1:].mean(axis=0)]
        numbers += [metrics.get(name, np.nan) for name in (*LOSSES, *MAPS, "best_threshold")]
        tflop = WORK_OF_A_STEP * operations * pixels / 1e12
        self.results.add(epoch, step, tflop, schedule.detection_size(epoch - 1), *numbers)

    def log_end(self, step: int, outcome: Outcome, skipped_steps: int) -> None:
        """Log how a run ended, and say what was skipped in it, if anything was."""
        if outcome is not Outcome.INTERRUPTED:
            self.log.end(step, outcome is Outcome.FINISHED)
        if outcome is Outcome.DIVERGED:  # then all is said
            return
        if skipped_steps:
            steps = counted(skipped_steps, "step")
            self.progress.message(f"{steps} of this run skipped: loss or gradient not finite")
        if self._unreadable:
            files = counted(len(self._unreadable), "image")
            times = counted(self._unreadable.total(), "time")
            self.progress.message(f"{files} could not be read, {times} in all")

    def flush(self) -> None:
        """Have the disk hold what was logged so far. Raises OSError."""
        self.log.flush()
        sync(self.results.path)

    def _progress_text(self, step, epoch, metrics):
        schedule, size = self.schedule, self.schedule.input_size(epoch)
        done = step - epoch * schedule.steps_per_epoch
        losses = ", ".join(f"{name} {metrics[name]:.2f}" for name in LOSSES[1:])
        pixels_per_second = self.progress.speed  # None before the second step
        images = pixels_per_second and pixels_per_second / schedule.pixels_of(epoch)
        speed = f"  {images:.1f} images/s" if images else ""
        return (
            f"epoch {epoch + 1}/{schedule.epochs} {size} px  {done}/{schedule.steps_per_epoch}"
            f"  loss {metrics['total']:.2f} ({losses})  lr {metrics['lr']:.1e}{speed}"
        )

    def _log_skipped(self, step, metrics, batch, indices):
        self.progress.message(
            f"step {step}: loss or gradient is not finite; the step is skipped and changes no "
            f"weight. Its images: {self._names(indices)}"
        )
        if metrics["skipped_steps"] > MAX_BATCHES_SHOWN:
            return
        images, boxes_xyxy, classes = (gather(self.strategy, part) for part in batch)
        is_box = (boxes_xyxy[..., 2:] > boxes_xyxy[..., :2]).all(axis=-1)  # (B, N)
        drawn = [
            draw_boxes(image, boxes[used], labels[used], self.class_names)
            for image, boxes, labels, used in zip(images, boxes_xyxy, classes, is_box, strict=True)
        ]
        self.log.images(step, "train/skipped_images", np.stack(drawn))

    def _log_unreadable(self, step, stage, paths, consequence):
        """Count images that could not be read, and name the first few of the run, each once."""
        for path in paths:
            if path not in self._unreadable and len(self._unreadable) < MAX_FILES_NAMED:
                self.progress.message(f"{path}: cannot be read as an image; {consequence}")
            self._unreadable[path] += 1
        if paths:
            self.log.scalars(step, {f"{stage}/unreadable_images": len(paths)})

    def _names(self, indices):
        return listed([self.records[used].image_path for _, used in indices], MAX_NAMED)
