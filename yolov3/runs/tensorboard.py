"""The TensorBoard log of a run: a file for each start or resume, and what each tag means."""

import contextlib
import dataclasses
import functools
import json
import time
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.custom_scalar.summary import pb as layout_pb
from tensorboard.plugins.graph.keras_util import keras_model_to_graph_def
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.hparams import api
from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE, STATUS_SUCCESS
from tensorboard.plugins.hparams.summary import session_end_pb
from tensorboard.plugins.pr_curve.summary import raw_data_pb
from tensorboard.plugins.text.summary_v2 import text_pb

from yolov3.configs import Config
from yolov3.files import sync
from yolov3.metrics import NO_TRUTH, SCORES, Matches, mean_over_classes
from yolov3.plots import confusion_image
from yolov3.report.errors import above, confusion_matrix
from yolov3.validation import Validator

LOG_FILES = "events.out.tfevents.*"
SCALAR = {"plugin_data": {"plugin_name": "scalars"}, "data_class": "DATA_CLASS_SCALAR"}
VALIDATION_TAGS = ("validate", "mAP/", "PR", "outputs/", "weights/")
PR_EVERY = 10  # of `SCORES`
SAMPLED = 4_000  # numbers of a histogram
WRITTEN_AT_ONCE = 10  # calls of `scalars`: after a training step the first is slow, others are not
FOLLOWED = ("train_lr_init", "train_input_scales")  # other settings are chosen by these
LOSS_TEXTS = {
    "total": "The sum of the box, confidence and class losses",
    "giou": "Box loss: 1 - GIoU of predicted and true boxes, 0 where they are equal",
    "conf": "Confidence loss: objects taken for background, and background taken for objects",
    "prob": "Class loss: objects taken for another class",
}
MAP_TEXTS = {"mAP50": "an IoU of 0.5", "mAP75": "an IoU of 0.75", "mAP": "IoUs of 0.5 to 0.95"}
DESCRIPTIONS = {f"loss/{name}_loss": f"{text}; of a batch" for name, text in LOSS_TEXTS.items()}
DESCRIPTIONS |= {f"validate_loss/{name}_val": f"{text}" for name, text in LOSS_TEXTS.items()}
DESCRIPTIONS |= {f"mAP/{name}": f"Mean AP, 0 to 1, at {iou}" for name, iou in MAP_TEXTS.items()}
DESCRIPTIONS |= {  # by tag, or by the part before its /
    "lr": "Learning rate: it rises from 0 in the warm-up, then falls along a cosine",
    "train/gradient_norm": "Length of the gradient: of a training that diverges it explodes",
    "train/input_size": "Width and height in pixels; where they grow, losses jump",
    "train/skipped_steps": "Steps so far whose loss or gradient was not finite",
    "train/skipped_images": "Images and true boxes of a step that was skipped",
    "train/unreadable_images": "Images of the batch that could not be read",
    "validate/unreadable_images": "Images that could not be read",
    "validate/detections": "True boxes at the left, detections at the right",
    "validate/confusion_matrix": "True classes down, detected ones across",
    "PR": "Precision over recall at an IoU of 0.5, in the mean over the classes",
    "PR_of_class": "Precision over recall at an IoU of 0.5",
    "outputs": "What the layer puts out for the first image to train on",
    "weights": "Weights of the layer: the EMA, as it is validated and saved",
    "config": "All settings; in bold those that are not the defaults",
    "class_names": "The classes, in the order of their numbers",
}
CHARTS = {"mAP": [f"mAP/{name}" for name in MAP_TEXTS]}  # of the tab Custom Scalars
CHARTS |= {
    f"{name} loss": [f"loss/{name}_loss", f"validate_loss/{name}_val"] for name in LOSS_TEXTS
}
CHARTS |= {tag: [tag] for tag in ("lr", "train/input_size", "train/gradient_norm")}


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
        folder.mkdir(parents=True, exist_ok=True)
        with self._disk_errors():  # TensorBoard reads files by their names, so the newest last
            name = LOG_FILES.replace("*", f"{time.time():.6f}")
            self._writer = tf.io.TFRecordWriter(str(folder / name))
        self._put(file_version="brain.Event:2")
        self._put(step=self.begins_at, session_log={"status": "START"})
        self._described = set()  # tags whose description this file has
        self._waiting = []  # (time, step, values) of `scalars`
        self._outputs_of = functools.cache(outputs_of)  # by network
        if again:
            self.write(step, tf.compat.v1.Summary(value=again.values()))

    def write(self, step: int, *summaries) -> None:
        """Write summaries, as TensorBoard's plugins make them, at a step, all at once."""
        self._write_waiting()
        self._write(time.time(), step, *summaries)

    def _write(self, now, step, *summaries):
        for value in (value for summary in summaries for value in summary.value):
            if value.tag not in self._described:  # TensorBoard reads the first
                self._described.add(value.tag)
                text = DESCRIPTIONS.get(value.tag) or DESCRIPTIONS.get(value.tag.partition("/")[0])
                value.metadata.summary_description = text or ""
        joined = b"".join(summary.SerializeToString() for summary in summaries)
        self._put(wall_time=now, step=step, summary=tf.compat.v1.Summary.FromString(joined))

    def scalars(self, step: int, values: dict) -> None:
        """Write scalars by tag, some calls later at the latest."""
        self._waiting.append((time.time(), step, values))
        if len(self._waiting) == WRITTEN_AT_ONCE:
            self._write_waiting()

    def _write_waiting(self):
        waiting, self._waiting = self._waiting, []  # at once: after an error none comes again
        for now, step, values in waiting:
            tensors = {
                tag: {"dtype": "DT_FLOAT", "tensor_shape": {}, "float_val": [float(value)]}
                for tag, value in values.items()
            }
            scalars = [{"tag": tag, "tensor": x, "metadata": SCALAR} for tag, x in tensors.items()]
            self._write(now, step, tf.compat.v1.Summary(value=scalars))

    def images(self, step: int, tag: str, images) -> None:
        """Write RGB images uint8 (H, W, 3) under a tag; their sizes may differ."""
        encoded = [cv2.imencode(".png", image[..., ::-1])[1].tobytes() for image in images]
        size = [str(side).encode() for side in images[0].shape[1::-1]]
        # TensorBoard's own function takes images of one size.
        metadata = {"plugin_data": {"plugin_name": "images"}}
        value = {"tag": tag, "tensor": tf.make_tensor_proto([*size, *encoded])}
        self.write(step, tf.compat.v1.Summary(value=[value | {"metadata": metadata}]))

    def start(self, step: int, config: Config, class_names, network: keras.Model) -> None:
        """Write what a run is: charts, settings as a table and for HParams, classes, layers."""
        settings = {
            name: value if isinstance(value, int | float | str) else json.dumps(value)
            for name, value in dataclasses.asdict(config).items()
        }
        patterns = {title: [f"^{tag}$" for tag in tags] for title, tags in CHARTS.items()}
        charts = [{"title": name, "multiline": {"tag": tags}} for name, tags in patterns.items()]
        layout = Layout(category=[{"title": "training and validation", "chart": charts}])
        names = text_pb("class_names", "```\n" + "\n".join(class_names) + "\n```")
        table = text_pb("config", settings_table(config))
        self.write(step, layout_pb(layout), table, names, api.hparams_pb(settings))
        graph = keras_model_to_graph_def(json.loads(network.to_json())).SerializeToString()
        self._put(step=step, graph_def=graph)

    def validation(self, step: int, validate: Validator) -> None:
        """Write what a `Validator` has found: images, confusions and PR curves."""
        if validate.examples:  # of images that can be read
            self.images(step, "validate/detections", validate.examples)
        matrix = confusion_matrix(above(validate.matches, validate.threshold))
        image = confusion_image(matrix, validate.class_names)
        self.images(step, "validate/confusion_matrix", [image])
        self.write(step, *pr_curves(validate.matches, validate.curves, validate.class_names))

    def network(self, step: int, network: keras.Model, image: tf.Tensor) -> None:
        """Write histograms of all weights, and of what layers put out for images (1, H, W, 3)."""
        outputs = self._outputs_of(network)(image)
        values = {f"outputs/{name}": x for name, x in outputs.items()}
        layers = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
        values |= {f"weights/{layer.name}": layer.kernel for layer in layers}
        self.write(step, *(histogram_pb(tag, _sample(value)) for tag, value in values.items()))

    def end(self, step: int, is_finished: bool) -> None:
        """Write that a run has finished, or failed, for HParams."""
        self.write(step, session_end_pb(STATUS_SUCCESS if is_finished else STATUS_FAILURE))

    def flush(self) -> None:
        """Have the disk hold all that was written, so that a power cut loses none of it."""
        self._write_waiting()
        with self._disk_errors():
            self._writer.flush()
        for path in self.folder.glob(LOG_FILES):
            sync(path)

    def close(self) -> None:
        self._write_waiting()
        with self._disk_errors():
            self._writer.close()

    def _put(self, **values):
        """Append an event; the writer of `tf.summary` would take several times as long."""
        event = tf.compat.v1.Event(**{"wall_time": time.time()} | values)
        with self._disk_errors():
            self._writer.write(event.SerializeToString())

    @contextlib.contextmanager
    def _disk_errors(self):
        """Raise what TensorFlow reports of a disk as OSError in one line."""
        try:
            yield
        except tf.errors.OpError as error:
            reason = error.message.splitlines()[0].rpartition("; ")[2]
            raise OSError(f"{self.folder}: the log cannot be written: {reason}") from None


def outputs_of(network: keras.Model):
    """Return a graph that maps images to the outputs of the activations, by the layers' names."""
    layers = [layer for layer in network.layers if isinstance(layer, keras.layers.LeakyReLU)]
    outputs = {layer.name: layer.output for layer in layers}
    return tf.function(keras.Model(network.input, outputs), autograph=False)


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


def pr_curves(matches: Matches, curves: np.ndarray, class_names: list[str]) -> list:
    """Return precision over recall: of all classes, and of each that has true boxes.

    `curves` (3, C, S) are those of `metrics.score_curves`.
    """
    scores, labels, counts = SCORES[::PR_EVERY], np.flatnonzero(matches.counts), []
    for label in labels:
        of_class = matches.shown & (matches.classes == label)
        kinds = of_class & (matches.truth != NO_TRUTH), of_class & (matches.truth == NO_TRUTH)
        right, wrong = ((matches.scores[kind, np.newaxis] >= scores).sum(axis=0) for kind in kinds)
        counts.append([right, wrong, 0 * right, matches.counts[label] - right])
    if not counts:
        return []
    names = ["PR/all classes", *(f"PR_of_class/{class_names[label]}" for label in labels)]
    shown = [mean_over_classes(curves), *curves[:, labels].swapaxes(0, 1)]
    shown = np.nan_to_num(shown, nan=1)  # the precision where nothing is found
    return [
        raw_data_pb(name, *count, *curve[:2, ::PR_EVERY], num_thresholds=len(scores))
        for name, count, curve in zip(names, [np.sum(counts, axis=0), *counts], shown, strict=True)
    ]


def _sample(values) -> np.ndarray:
    """Return some thousand finite numbers of an array: its histogram looks the same."""
    flat = np.ravel(values)
    sample = flat[:: flat.size // SAMPLED | 1]  # odd, so that all channels are in it
    return sample[np.isfinite(sample)]


def settings_table(config: Config) -> str:
    """Return the settings in Markdown, those that differ from the defaults first and in bold."""
    network, rows = {"tiny": config.tiny, "recipe": config.recipe}, []
    own = Config(**network)
    usual = Config(**network, **{name: getattr(config, name) for name in FOLLOWED})
    for field in dataclasses.fields(config):
        name, value = field.name, getattr(config, field.name)
        default = getattr(own if name in FOLLOWED else usual, name)
        default = default if field.default is None else field.default
        values = (
            f"`{x:g}`" if isinstance(x, float) else f"`{json.dumps(x)}`" for x in (value, default)
        )
        cells = (name if value == default else f"**{name}**", *values, field.metadata["help"])
        rows.append((value == default, " | ".join(cell.replace("|", r"\|") for cell in cells)))
    rows = [row for _, row in sorted(rows, key=lambda row: row[0])]
    return "\n".join(["setting | value | default | what it is", "--- | --- | --- | ---", *rows])
