"""The TensorBoard log of a run."""

import tensorflow as tf

LOSSES = ("total", "giou", "conf", "prob")


class Summaries:
    """Write the scalars of a run, and pictures, to its own log folder.

    Nothing is flushed per step.
    """

    def __init__(self, folder):
        self._writer = tf.summary.create_file_writer(str(folder))

    def settings(self, text: str):
        """Show the configuration as text."""
        with self._writer.as_default(step=0):
            tf.summary.text("config", f"```\n{text}\n```")

    def step(self, step: int, metrics: dict):
        """Write lr, gradient_norm and loss/* of a training step."""
        with self._writer.as_default(step=step):
            tf.summary.scalar("lr", metrics["lr"])
            tf.summary.scalar("gradient_norm", metrics["gradient_norm"])
            for name in LOSSES:
                tf.summary.scalar(f"loss/{name}_loss", metrics[name])

    def validation(self, step: int, metrics: dict):
        """Write validate_loss/* and mAP/* of an epoch."""
        with self._writer.as_default(step=step):
            for name in LOSSES:
                tf.summary.scalar(f"validate_loss/{name}_val", metrics[name])
            for name in ("AP50", "AP75", "AP"):
                tf.summary.scalar(f"mAP/{name}", metrics[name])

    def flush(self):
        self._writer.flush()

    def close(self):
        self._writer.close()
