"""All GPUs of a machine, and all machines: what part of the data each has, and what all found."""

import hashlib
import io
import os

import keras
import numpy as np
import tensorflow as tf

from yolov3.configs import REPO, Config
from yolov3.dataset import WHOLE, Share
from yolov3.runs.cluster import Cluster
from yolov3.text import require
from yolov3.validation import BATCH_SIZE, Validator
from yolov3.weights import state_dict

# Settings that name files and folders, which may lie elsewhere on each machine.
PLACES = {"train_classes", "train_annot_path", "test_annot_path", "weights"}
PLACES |= {"train_logdir", "train_checkpoints_folder"}
DIGITS = 12  # of a checksum, for people


def distribution_strategy(
    batch_size: int, cluster: Cluster | None = None
) -> tf.distribute.Strategy:
    """Return a strategy for GPUs or a cluster, or TensorFlow's default for one device.

    That of a cluster must come before all else that starts TensorFlow. Raises ValueError where the
    batch has no equal part for each of its devices.
    """
    gpus = len(tf.config.list_physical_devices("GPU"))
    if cluster:
        workers, devices = len(cluster.hosts), len(cluster.hosts) * max(1, gpus)
        expected = f"a multiple of {devices}, the devices of {workers} workers"
        require(batch_size % devices == 0, "train_batch_size", expected, batch_size)
        os.environ["TF_CONFIG"] = cluster.tf_config()
        return tf.distribute.MultiWorkerMirroredStrategy()
    used = replicas_for(batch_size, gpus)
    names = [f"GPU:{number}" for number in range(used)]
    return tf.distribute.MirroredStrategy(names) if used > 1 else tf.distribute.get_strategy()


def replicas_for(batch_size: int, available: int) -> int:
    """Return the largest number of the devices that divides the batch size, at least 1.

    In unequal parts some images would count more than others, and an empty part has no mean loss.
    """
    return max([n for n in range(1, available + 1) if batch_size % n == 0], default=1)


def distribute_batches(strategy: tf.distribute.Strategy, make_batches):
    """Return the batches of `make_batches(share=...)`, split between replicas if there are many."""
    if strategy.num_replicas_in_sync == 1:
        return make_batches(share=WHOLE)

    def batches_of(here):
        share = here.input_pipeline_id, here.num_input_pipelines, here.num_replicas_in_sync
        return make_batches(share=Share(*share))

    return strategy.distribute_datasets_from_function(batches_of)


def gather(strategy: tf.distribute.Strategy, part) -> np.ndarray:
    """Return this worker's part of a batch from `distribute_batches` as one array (B, ...)."""
    return np.concatenate([x.numpy() for x in strategy.experimental_local_results(part)])


def facts(
    config: Config, data: dict, class_names: list[str], precision: str, cluster: Cluster
) -> dict:
    """Return what must be the same on all workers, by names for people."""
    sources = [REPO / "train.py", *sorted((REPO / "yolov3").rglob("*.py"))]
    return {
        "addresses of workers": cluster.hosts,
        "TensorFlow": tf.__version__,
        "Keras": keras.__version__,
        "code": _digest(path.read_bytes() for path in sources),
        "number of GPUs": len(tf.config.list_physical_devices("GPU")),
        "precision": precision,
        "class names": class_names,
        "images to train on": data["trained_on"][:DIGITS],
        "images to validate on": data["validated_on"][:DIGITS],
        **{name: value for name, value in vars(config).items() if name not in PLACES},
    }


def digest_of(variables: dict) -> str:
    """Return a checksum of variables by names."""
    return _digest(map(np.ndarray.tobytes, state_dict(variables).values()))


def _digest(parts) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()[:DIGITS]


class SharedValidator(Validator):
    """Measure a network with all workers, each on its own batches; the chief says how good it is.

    What comes out is what one worker alone would measure.
    """

    def __init__(self, workers, *args):
        super().__init__(*args)
        self.workers = workers

    def _measure(self, records, input_size):
        batches, workers = -(-len(records) // BATCH_SIZE), self.workers
        ends = [-(-batches * place // workers.count) for place in range(workers.count + 1)]
        first, stop = ends[workers.index : workers.index + 2]
        if first == stop:
            return [], [], []
        return super()._measure(records[first * BATCH_SIZE : stop * BATCH_SIZE], input_size)

    def _judge(self, *measured):
        parts = self.workers.to_chief(packed(*measured))
        figures = super()._judge(*joined(parts)) if parts else None
        return self.workers.from_chief(figures)


def packed(losses, detections, heights) -> bytes:
    """Write what a `Validator` measured as bytes, without a loss."""
    counts, fields = [len(scores) for _, scores, _ in detections], zip(*detections, strict=True)
    buffer = io.BytesIO()
    np.savez(buffer, losses, heights, np.array(counts, int), *map(np.concatenate, fields))
    return buffer.getvalue()


def joined(parts: list[bytes]) -> tuple[list, list, list]:
    """Return what workers measured, in their order, as if one had."""
    losses, detections, heights = [], [], []
    for part in parts:
        with np.load(io.BytesIO(part)) as arrays:
            some_losses, some_heights, counts, *fields = arrays.values()
        losses += some_losses.tolist()
        heights += some_heights.tolist()
        cuts = np.cumsum(counts)[:-1]
        detections += zip(*(np.split(field, cuts) for field in fields), strict=True)
    return losses, detections, heights
