"""The TensorBoard log of a run."""

import contextlib

import numpy as np
import tensorflow as tf

from yolov3.draw import draw_boxes
from yolov3.runs.event_files import disk_errors, sync_events

LOSSES = ("total", "giou", "conf", "prob")


class Summaries:
    """Write the scalars of a run, and images, to its own log folder.

    TensorFlow hands each step to the system at once, so that a kill loses none. All methods raise
    OSError where the disk is full or fails.
    """

    def __init__(self, folder):
        self._folder = folder
        with disk_errors(folder):
            self._writer = tf.summary.create_file_writer(str(folder))

    def settings(self, step: int, text: str):
        """Show the configuration that holds from a step on as text."""
        with self._at(step):
            tf.summary.text("config", f"```\n{text}\n```")

    def step(self, step: int, metrics: dict):
        """Write lr, gradient_norm, loss/* and the count of skipped steps of a training step."""
        with self._at(step):
            self._scalars({"lr": metrics["lr"], "train/skipped_steps": metrics["skipped_steps"]})
            if np.isfinite(metrics["gradient_norm"]):  # scaled for float16 it may overflow
                tf.summary.scalar("gradient_norm", metrics["gradient_norm"])
            self._scalars({f"loss/{name}_loss": metrics[name] for name in LOSSES})

    def skipped_step(self, step: int, metrics: dict):
        """Write lr and the count of skipped steps of a step that was skipped."""
        with self._at(step):
            self._scalars({"lr": metrics["lr"], "train/skipped_steps": metrics["skipped_steps"]})

    def skipped_images(self, step: int, images, boxes_xyxy, classes, class_names):
        """Show the batch of a skipped step with its boxes: (B, H, W, 3), (B, N, 4), (B, N)."""
        is_box = (boxes_xyxy[..., 2:] > boxes_xyxy[..., :2]).all(axis=-1)  # (B, N)
        drawn = [
            draw_boxes(image, boxes[used], labels[used], class_names)
            for image, boxes, labels, used in zip(images, boxes_xyxy, classes, is_box, strict=True)
        ]
        with self._at(step):
            tf.summary.image("train/skipped_images", np.stack(drawn), max_outputs=len(drawn))

    def unreadable_images(self, part: str, step: int, count: int):
        """Write how many images to "train" on or "validate" with could not be read."""
        with self._at(step):
            tf.summary.scalar(f"{part}/unreadable_images", count)

    def validation(self, step: int, metrics: dict, examples):
        """Write validate_loss/* and mAP/* of an epoch, and show its examples (B, H, W, 3)."""
        with self._at(step):
            tf.summary.image("validate/detections", examples, max_outputs=len(examples))
            self._scalars({f"validate_loss/{name}_val": metrics[name] for name in LOSSES})
            self._scalars({f"mAP/{name}": metrics[name] for name in ("AP50", "AP75", "AP")})

    def flush(self):
        """Have the disk hold all that was written so far, so that a power cut loses none of it."""
        with disk_errors(self._folder):
            self._writer.flush()
        sync_events(self._folder)

    def close(self):
        with disk_errors(self._folder):
            self._writer.close()

    @contextlib.contextmanager
    def _at(self, step):
        with disk_errors(self._folder), self._writer.as_default(step=step):
            yield

    def _scalars(self, values):
        for tag, value in values.items():
            tf.summary.scalar(tag, value)
