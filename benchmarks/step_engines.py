"""The engines of `training_step.py`: each returns `step() -> loss` and facts about itself."""

import atexit
import shutil
import tempfile

import numpy as np

from benchmarks.timing import versions

NUM_CLASSES, BOXES = 10, 12  # as in the tutorial's scenes
SMALLEST_BOX, LARGEST_BOX = 0.03, 0.27  # fractions of the image
SCENES, MANY = 100, 10_000  # images on disk, and steps: more than anybody measures


def repository(size: int, batch_size: int, precision: str, tiny: bool):
    """The step of `train.py` as it is, with the gradient's norm and the EMA of the weights."""
    train_step, facts = _train_step(precision, tiny)
    import tensorflow as tf

    batch = [tf.constant(part) for part in random_batch(size, batch_size)]
    return lambda: _take(train_step, batch), facts


def reading(size: int, batch_size: int, precision: str, tiny: bool):
    """The same on scenes of 416 px, which the input pipeline reads and augments meanwhile."""
    train_step, facts = _train_step(precision, tiny)
    from benchmarks.scenes import scene_batches, write_scenes

    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    annotations = write_scenes(folder, SCENES)
    batches = iter(scene_batches(annotations, batch_size, size, (0, MANY)))
    return lambda: _take(train_step, next(batches)[:-1]), facts


def _train_step(precision, tiny):
    from yolov3.cli.run import import_tensorflow

    import_tensorflow()
    from yolov3.configs import Config
    from yolov3.kernels.hardware import choose_precision
    from yolov3.train_step import TrainStep

    precision = choose_precision(precision)
    config = Config(tiny=tiny)
    train_step = TrainStep(config, NUM_CLASSES, steps_per_epoch=250, precision=precision)
    return train_step, {"precision": precision, "versions": versions("tensorflow", "keras")}


def _take(train_step, batch):
    return {name: value.numpy() for name, value in train_step(*batch).items()}


def pytorch(size: int, batch_size: int, precision: str, tiny: bool, compiled: bool = False):
    """The same network, loss and optimizer in PyTorch."""
    import torch

    from benchmarks.torch_yolov3 import TrainingStep

    torch.set_default_device("cuda" if torch.cuda.is_available() else "cpu")
    step = TrainingStep(NUM_CLASSES, precision, tiny)
    step.model = torch.compile(step.model) if compiled else step.model
    images, boxes_xyxy, classes = (torch.asarray(part) for part in random_batch(size, batch_size))
    facts = {"precision": precision, "versions": versions("torch")}
    return lambda: step(images, boxes_xyxy, classes.long()), facts


def compiled_pytorch(size: int, batch_size: int, precision: str, tiny: bool):
    """The same, its network compiled by torch.compile."""
    return pytorch(size, batch_size, precision, tiny, compiled=True)


def tutorial(size: int, batch_size: int, precision: str, tiny: bool):
    """The same network and loss, run as tutorials do, which is always in float32."""
    from yolov3.cli.run import import_tensorflow

    import_tensorflow()
    import tensorflow as tf

    from benchmarks.baseline_step import EagerStep

    step = EagerStep(NUM_CLASSES, tiny)
    images, boxes_xyxy, classes = (tf.constant(part) for part in random_batch(size, batch_size))
    images = tf.cast(images, tf.float32) / 255.0
    targets = step.targets(boxes_xyxy, classes, NUM_CLASSES, size)
    facts = {"precision": "float32", "versions": versions("tensorflow", "keras")}
    return lambda: step(images, targets, boxes_xyxy), facts


def matrix(size: int, batch_size: int, precision: str, tiny: bool):
    """A large matrix product, the limit of all, and the work of a step of the network."""
    from yolov3.cli.run import import_tensorflow

    import_tensorflow()
    from benchmarks.matrix_rate import (
        MULTIPLICATIONS_PER_STEP,
        PRODUCT_GIGAFLOPS,
        gigaflops,
        product,
    )
    from yolov3.kernels.hardware import choose_precision

    precision = choose_precision(precision)
    work = MULTIPLICATIONS_PER_STEP * batch_size * gigaflops(size, tiny, NUM_CLASSES)
    facts = {"precision": precision, "gigaflops": PRODUCT_GIGAFLOPS, "gigaflops_of_step": work}
    return product(precision), facts


def random_batch(size: int, batch_size: int):
    """Return images uint8 (B, H, W, 3), boxes_xyxy (B, N, 4) in pixels and classes (B, N)."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch_size, size, size, 3), dtype=np.uint8)
    sides = size * rng.uniform(SMALLEST_BOX, LARGEST_BOX, (batch_size, BOXES, 2))
    corners = rng.uniform(0, size - sides)
    boxes_xyxy = np.concatenate([corners, corners + sides], axis=-1).astype(np.float32)
    classes = rng.integers(0, NUM_CLASSES, (batch_size, BOXES), dtype=np.int32)
    return images, boxes_xyxy, classes
