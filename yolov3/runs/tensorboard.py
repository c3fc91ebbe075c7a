"""The TensorBoard log of a run: a file for each start or resume, and what each tag means."""

import contextlib
import dataclasses
import json
import time
from pathlib import Path

import cv2
import keras
import tensorflow as tf
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar.summary import pb as layout_pb
from tensorboard.plugins.hparams import api, api_pb2
from tensorboard.plugins.hparams.summary import session_end_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb

from yolov3.configs import Config
from yolov3.files import sync

LOG_FILES = "events.out.tfevents.*"
VALIDATION_TAGS = ("validate_loss/", "mAP/", "validate/")
LOSS_TEXTS = {
    "total": "The sum of the box, confidence and class losses",
    "giou": "Box loss: 1 - GIoU of predicted and true boxes, 0 where they are equal",
    "conf": "Confidence loss: objects taken for background, and background taken for objects",
    "prob": "Class loss: objects taken for another class",
}
MAP_TEXTS = {
    "mAP50": "Quality from 0 to 1: boxes count as found from an IoU of 0.5",
    "mAP75": "Quality from 0 to 1: boxes count as found from an IoU of 0.75",
    "mAP": "Quality from 0 to 1: the mean over IoU 0.5 to 0.95, COCO's measure",
}
DESCRIPTIONS = {  # by tag
    **{f"loss/{name}_loss": f"{text}; of each batch" for name, text in LOSS_TEXTS.items()},
    **{f"validate_loss/{name}_val": f"{text}; in validation" for name, text in LOSS_TEXTS.items()},
    **{f"mAP/{name}": f"{text}; in validation" for name, text in MAP_TEXTS.items()},
    "lr": "Learning rate: it rises from 0 in the warm-up, then falls along a cosine",
    "train/gradient_norm": "Length of the gradient: of a training that diverges it explodes",
    "train/input_size": "Width and height in pixels; where they grow, losses jump",
    "train/skipped_steps": "Steps so far whose loss or gradient was not finite",
    "train/skipped_images": "Images and true boxes of a step that was skipped",
    "train/unreadable_images": "Images of the batch that could not be read",
    "validate/unreadable_images": "Images that could not be read",
    "validate/detections": "True boxes at the left, detections at the right",
    "config": "All settings; in bold those that are not the defaults",
    "class_names": "The classes, in the order of their numbers",
}
CHARTS = {  # of the tab Custom Scalars: its sections, and their charts of one or more tags
    "mAP": {"mAP": [f"mAP/{name}" for name in MAP_TEXTS]},
    "losses, training and validation": {
        f"{name} loss": [f"loss/{name}_loss", f"validate_loss/{name}_val"] for name in LOSS_TEXTS
    },
    "progress": {
        "learning rate": ["lr"],
        "input size": ["train/input_size"],
        "gradient norm": ["train/gradient_norm"],
    },
}


class TensorBoardLog:
    """Write the events of a run to its own log folder, a new file for each start or resume.

    A resumed run logs the steps after its checkpoint again. Each file begins with a START event,
    on which TensorBoard drops what older files hold from that step on (its fast reader drops a
    tag's values at the first that comes again), so that it shows each step once and no file is
    ever changed. All methods raise OSError where the disk is full or fails.
    """

    def __init__(self, folder: Path, step: int, is_validated: bool = True):
        """Begin after `step` steps; a validation after the last of them comes again unless done."""
        self.folder, self.step, self.begins_at = folder, step, step + is_validated
        again = [] if is_validated else training_values(folder, range(step, step + 1))[step]
        with self._disk_errors():
            self._writer = tf.summary.create_file_writer(str(folder))
            event = tf.compat.v1.Event(wall_time=time.time(), step=self.begins_at)
            event.session_log.status = tf.compat.v1.SessionLog.START
            # TensorFlow has no public function for an event that is not a summary.
            tf.raw_ops.ImportEvent(writer=self._writer._resource, event=event.SerializeToString())
        self._described = set()  # tags whose description this file has
        if again:
            self.write(step, tf.compat.v1.Summary(value=again.values()))

    def write(self, step: int, *summaries) -> None:
        """Write summaries, as TensorBoard's plugins make them, at a step, all at once."""
        for value in (value for summary in summaries for value in summary.value):
            if value.tag not in self._described:  # TensorBoard reads the first
                self._described.add(value.tag)
                text = DESCRIPTIONS.get(value.tag) or DESCRIPTIONS.get(value.tag.partition("/")[0])
                value.metadata.summary_description = text or ""
        joined = b"".join(summary.SerializeToString() for summary in summaries)
        with self._disk_errors(), self._writer.as_default(step=step):
            tf.summary.experimental.write_raw_pb(joined)

    def scalars(self, step: int, values: dict) -> None:
        """Write scalars by tag: as one event, since each takes longer than it needs."""
        self.write(step, *(scalar_pb(tag, float(value)) for tag, value in values.items()))

    def images(self, step: int, tag: str, images) -> None:
        """Write RGB images uint8 (H, W, 3) under a tag; their sizes may differ."""
        encoded = [cv2.imencode(".png", image[..., ::-1])[1].tobytes() for image in images]
        size = [str(side).encode() for side in images[0].shape[1::-1]]
        summary = tf.compat.v1.Summary()
        value = summary.value.add(tag=tag, tensor=tf.make_tensor_proto([*size, *encoded]))
        value.metadata.plugin_data.plugin_name = "images"
        self.write(step, summary)

    def flush(self) -> None:
        """Have the disk hold all that was written, so that a power cut loses none of it."""
        with self._disk_errors():
            self._writer.flush()
        for path in self.folder.glob(LOG_FILES):
            sync(path)

    def close(self) -> None:
        with self._disk_errors():
            self._writer.close()

    @contextlib.contextmanager
    def _disk_errors(self):
        """Raise what TensorFlow reports of a disk as OSError in one line."""
        try:
            yield
        except tf.errors.OpError as error:
            reason = error.message.splitlines()[0].rpartition("; ")[2]
            raise OSError(f"{self.folder}: the log cannot be written: {reason}") from None


def training_values(folder: Path, steps: range) -> dict[int, dict]:
    """Return what a log holds of training steps by step and tag: they cannot come again."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

    values: dict[int, dict] = {step: {} for step in steps}
    for path in sorted(folder.glob(LOG_FILES)) if steps else ():
        for record in RawEventFileLoader(str(path)).Load():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value if event.step in steps else ():
                if not value.tag.startswith(VALIDATION_TAGS):
                    values[event.step][value.tag] = value
    return values


def layout() -> tf.compat.v1.Summary:
    """Return the summary of `CHARTS`."""
    categories = [
        layout_pb2.Category(
            title=title,
            chart=[
                layout_pb2.Chart(title=name, multiline={"tag": [f"^{tag}$" for tag in tags]})
                for name, tags in charts.items()
            ],
        )
        for title, charts in CHARTS.items()
    ]
    return layout_pb(layout_pb2.Layout(category=categories))


def start_of_run(config: Config, class_names: list[str], network: keras.Model) -> list:
    """Return the summaries of what a run is, with its settings for the tab HParams, too."""
    settings = {
        name: value if isinstance(value, int | float | str) else json.dumps(value)
        for name, value in dataclasses.asdict(config).items()
    }
    graph = tf.compat.v1.Summary()
    value = graph.value.add(tag="keras", tensor=tf.make_tensor_proto(network.to_json()))
    value.metadata.plugin_data.plugin_name = "graph_keras_model"
    value.metadata.plugin_data.content = b"1"  # version
    names = text_pb("class_names", "```\n" + "\n".join(class_names) + "\n```")
    settings = text_pb("config", settings_table(config)), api.hparams_pb(settings)
    return [layout(), names, *settings, graph]


def end_of_run(finished: bool):
    """Return the summary of how a run ended."""
    status = api_pb2.STATUS_SUCCESS if finished else api_pb2.STATUS_FAILURE
    return session_end_pb(status)


def settings_table(config: Config) -> str:
    """Return the settings in Markdown, those that differ from the defaults first and in bold."""
    usual, rows = Config(tiny=config.tiny, recipe=config.recipe), []
    for field in dataclasses.fields(config):
        name, value = field.name, getattr(config, field.name)
        default = getattr(usual, name) if field.default is None else field.default
        values = (f"`{json.dumps(x)}`" for x in (value, default))
        cells = (name if value == default else f"**{name}**", *values, field.metadata["help"])
        rows.append((value == default, " | ".join(cell.replace("|", r"\|") for cell in cells)))
    rows = [row for _, row in sorted(rows, key=lambda row: row[0])]
    return "\n".join(["setting | value | default | what it is", "--- | --- | --- | ---", *rows])
