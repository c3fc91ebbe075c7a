"""Random raw maps and boxes: losses, gradients and steps stay finite, in each precision."""

from pathlib import Path

import numpy as np

from tests.torture.table import Row, row_of
from yolov3.cli.run import import_tensorflow
from yolov3.configs import ANCHORS, STRIDES, Config

CLASSES, BATCH, SIZE = 3, 2, 64  # pixels
SHAPES = [(BATCH, SIZE // stride, SIZE // stride, 3, 5 + CLASSES) for stride in STRIDES]
LARGEST = 1e4
EXTREMES = np.array([-LARGEST, -88, -1e-38, 0, 1e-38, 88, LARGEST])
FAULTS_PER_STEP = 50  # random inputs of the losses for each training step of a network
PRECISIONS = ("float32", "bfloat16", "float16")


def run(count: int, seed: int, folder: Path) -> list[Row]:
    """Try `count` random inputs, shared by three precisions, and training steps besides."""
    import_tensorflow()
    import tensorflow as tf

    rows = []
    each = -(-count // len(PRECISIONS))
    for precision in PRECISIONS:
        gradients = differentiable(tf.as_dtype(precision))
        outcomes = [try_losses(gradients, np.random.default_rng([seed, n])) for n in range(each)]
        fault = f"random raw maps and boxes, {precision}"
        rows.append(row_of(fault, outcomes, "up to 10,000 in size"))
        if steps := each // FAULTS_PER_STEP:  # none in a small share
            outcomes, skipped = try_steps(precision, steps, seed)
            note = "loss scaled" if precision == "float16" else f"{skipped} not finite, skipped"
            rows.append(row_of(f"training step of wild weights, {precision}", outcomes, note))
    return rows


def differentiable(dtype):
    """Return a function from raw maps of this type and boxes to losses and gradients."""
    import tensorflow as tf

    from yolov3.losses import batch_losses

    scales = {"anchors": ANCHORS, "strides": STRIDES}
    boxes_and_classes = (
        tf.TensorSpec([BATCH, None, 4], tf.float32),
        tf.TensorSpec([BATCH, None], tf.int32),
    )

    @tf.function(input_signature=([tf.TensorSpec(shape) for shape in SHAPES], *boxes_and_classes))
    def gradients(raw_maps, boxes_xyxy, classes):
        raw_maps = [tf.cast(raw, dtype) for raw in raw_maps]
        with tf.GradientTape() as tape:
            tape.watch(raw_maps)
            losses = batch_losses(raw_maps, boxes_xyxy, classes, **scales)
            total = tf.add_n(list(losses.values()))
        found = [total, *losses.values(), *tape.gradient(total, raw_maps)]
        return [tf.cast(value, tf.float32) for value in found]

    return gradients


def try_losses(gradients, rng) -> str:
    """Return what is not finite for one random input, or ""."""
    boxes_xyxy, classes = random_boxes(rng)
    found = gradients([random_raw(rng, shape) for shape in SHAPES], boxes_xyxy, classes)
    finite = [bool(np.isfinite(value).all()) for value in found]
    return "" if all(finite) else f"finite total, losses and gradients: {finite}"


def random_raw(rng, shape) -> np.ndarray:
    """Draw a raw map of a random spread, up to 1e4; some elements are extremes."""
    spread = 10 ** rng.uniform(-2, 4)
    raw = rng.normal(0, spread, shape)
    raw = np.where(rng.random(shape) < rng.choice([0, 0.1, 1]), rng.choice(EXTREMES, shape), raw)
    return np.clip(raw, -LARGEST, LARGEST).astype(np.float32)


def random_boxes(rng) -> tuple[np.ndarray, np.ndarray]:
    """Draw boxes (B, N, 4), as data have them and as they should not, and classes (B, N)."""
    count = rng.choice([1, 8, 500])  # boxes of an image
    corners = rng.uniform(0, SIZE, (2, BATCH, count, 2))
    ordinary = np.concatenate([corners.min(axis=0), corners.max(axis=0)], axis=-1)
    x, y = corners[0, ..., 0], corners[0, ..., 1]
    kinds = [
        ordinary,
        np.zeros_like(ordinary),  # padding
        np.stack([x, y, x, y], axis=-1),  # of no size
        np.stack([x, y, x, y + 9], axis=-1),  # of no width
        np.stack([x, y, x + 1, y + 1], axis=-1),  # one pixel
        np.broadcast_to([0.0, 0, SIZE, SIZE], ordinary.shape),  # the whole image
        ordinary + SIZE,  # outside
        ordinary * 10 - 4 * SIZE,  # far outside and huge
        ordinary[..., [2, 3, 0, 1]],  # inverted
        np.broadcast_to(ordinary[:, :1], ordinary.shape),  # all the same
    ]
    chosen = rng.integers(0, len(kinds), (BATCH, count))
    boxes_xyxy = np.choose(chosen[..., np.newaxis], kinds)
    return boxes_xyxy.astype(np.float32), rng.integers(0, CLASSES, (BATCH, count)).astype(np.int32)


def try_steps(precision: str, count: int, seed: int) -> tuple[list[str], int]:
    """Train YOLOv3-tiny for some steps, each from weights of which a tenth is blown up.

    Returns the outcomes and how many steps were skipped because something was not finite.
    """
    from yolov3.train_step import TrainStep

    train_step = TrainStep(Config(tiny=True, train_epochs=1), CLASSES, max(count, 2), precision)
    start = [weight.numpy() for weight in train_step.model.variables]
    outcomes, skipped = [], 0
    for number in range(count):
        rng = np.random.default_rng([seed, number, 1])
        for weight, value in zip(train_step.model.variables, start, strict=True):
            weight.assign(value * 10 ** (rng.uniform(0, 4) * (rng.random() < 0.1)))
        images = rng.integers(0, 256, (BATCH, SIZE, SIZE, 3)).astype(np.uint8)
        metrics = train_step(images * np.uint8(rng.integers(0, 2)), *random_boxes(rng))
        skipped += not metrics["finite"]
        named = train_step.variables().items()
        wild = [name for name, variable in named if not np.isfinite(variable.numpy()).all()]
        outcomes.append(f"step {number}: not finite: {wild[:3]}" if wild else "")
    return outcomes, skipped
