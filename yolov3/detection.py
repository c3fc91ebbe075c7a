"""Find objects in images with a trained network."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from yolov3.checkpoints import Checkpoint, find_checkpoint
from yolov3.configs import Config
from yolov3.darknet import open_darknet
from yolov3.images import boxes_from_letterbox, letterbox, letterbox_params
from yolov3.kernels.folding import fold_into
from yolov3.kernels.precision import INFERENCE_POLICIES, choose_precision, grow_gpu_memory
from yolov3.postprocess import MAX_DETECTIONS, detect_boxes
from yolov3.weights.by_name import network_with
from yolov3.yolov3 import build_yolov3, to_float

NEVER = float("-inf")  # the raw class value of probability 0


class Detector:
    """Detect objects: `detector(image_rgb_uint8) -> boxes_xyxy, scores, classes`.

    `source` is a trained Keras model of `build_yolov3`, a `Checkpoint`, or the path of a
    checkpoint, of a folder of them, or of a file of Darknet weights, whose class names are in
    `names_file`. Input size, one number or (height, width), and thresholds are those of the
    checkpoint unless given: the size it was last trained at, the thresholds of its configuration.
    With `only`, names or indices of classes, all others are left out before suppression, and with
    `agnostic_nms` boxes are suppressed by those of other classes, too. Of each image the best
    `max_detections` are kept. The network runs with batch normalisation folded into the
    convolutions, in the precision that suits this hardware. On a CPU it runs faster where nothing
    else is done with TensorFlow: call `cli.import_tensorflow(frozen_weights=True)` first.
    Raises ValueError where the path holds none of these whole, and for a class that is unknown.
    """

    def __init__(
        self,
        source,
        input_size: int | tuple[int, int] | None = None,
        score_threshold: float | None = None,
        iou_threshold: float | None = None,
        precision: str = "auto",
        names_file=None,
        only=None,
        agnostic_nms: bool = False,
        max_detections: int = MAX_DETECTIONS,
    ):
        grow_gpu_memory()  # the network is the first to use it
        opened = _open(source, names_file)
        model, self.config, self.class_names, trained_size, self.origin = opened
        self.input_size = input_size or trained_size
        is_square = isinstance(self.input_size, int)
        self.input_hw = (self.input_size,) * 2 if is_square else tuple(self.input_size)
        self.only = None if only is None else class_indices(only, self.class_names)
        self.score_threshold = _given(score_threshold, self.config.test_score_threshold)
        self.iou_threshold = _given(iou_threshold, self.config.test_iou_threshold)
        self.agnostic_nms, self.max_detections = agnostic_nms, max_detections
        self.precision = choose_precision(precision)
        policy = INFERENCE_POLICIES[self.precision]
        self.network = build_yolov3(len(self.class_names), self.config.tiny, policy, folded=True)
        fold_into(self.network, model)

    @property
    def description(self) -> str:
        """Say which network this is, from where, and how it runs."""
        height, width = self.input_hw
        return f"{self.config.network} of {self.origin}, {height}x{width}, {self.precision}"

    def __call__(self, image_rgb: np.ndarray, *, score_threshold: float | None = None):
        """Detect in one image, uint8 (H, W, 3) RGB of any size.

        Returns boxes_xyxy (N, 4) float32 in pixels of the image, scores (N,), falling, and
        classes (N,).
        """
        return self.detect_batch([image_rgb], score_threshold=score_threshold)[0]

    def detect_batch(
        self, images_rgb, *, score_threshold: float | None = None
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Detect in several images of any sizes at once; return for each what `__call__` does."""
        canvases = [letterbox(image, self.input_hw) for image in images_rgb]
        sizes_hw = [image.shape[:2] for image in images_rgb]
        return self.detect_letterboxed(sizes_hw, canvases, score_threshold)

    def detect_letterboxed(
        self, image_sizes_hw, canvases, score_threshold: float | None = None
    ) -> list[tuple]:
        """Detect in images of (height, width) that `letterbox` fitted into `input_hw`.

        Returns for each what `__call__` does.
        """
        found = self.detect_canvases(np.stack(canvases), score_threshold)
        return unletterbox(*found, image_sizes_hw, self.input_hw)

    def detect_canvases(self, canvases, score_threshold: float | None = None):
        """Run network and suppression on letterboxed uint8 (B, H, W, 3).

        Returns what `postprocess.detect_boxes` returns.
        """
        score_threshold = _given(score_threshold, self.score_threshold)
        return self._run(canvases, score_threshold, self.iou_threshold)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.uint8),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([], tf.float32),
        ]
    )
    def _run(self, canvases, score_threshold, iou_threshold):
        raw_maps = self.network(to_float(canvases), training=False)
        if self.only is not None:
            raw_maps = [self._without_others(raw) for raw in raw_maps]
        return detect_boxes(
            raw_maps,
            self.config.anchors,
            self.config.strides,
            score_threshold,
            iou_threshold,
            self.agnostic_nms,
            self.max_detections,
        )

    def _without_others(self, raw):
        """Give the classes not in `only` the probability 0 in a raw map (B, G, G, A, 5 + C)."""
        is_other = [index not in self.only for index in range(len(self.class_names))]
        return tf.where([False] * 5 + is_other, tf.constant(NEVER, raw.dtype), raw)


def class_indices(words, class_names) -> list[int]:
    """Return the indices of classes given by name or, where that is no name, by index.

    Raises ValueError that lists the names for one that is neither.
    """
    indices = {name: index for index, name in reversed(list(enumerate(class_names)))}
    indices = {str(index): index for index in range(len(class_names))} | indices
    for word in words:
        if str(word) not in indices:
            names = ", ".join(class_names)
            raise ValueError(f"only: expected classes of {names}; received {word!r}")
    return [indices[str(word)] for word in words]


def unletterbox(boxes_xyxy, scores, classes, counts, image_sizes_hw, input_hw) -> list[tuple]:
    """Take the padded detections of a batch to pixels of each image.

    Returns [(boxes_xyxy, scores, classes)]; none for an image of 0 x 0, which could not be read.
    """
    batch = zip(
        *(np.asarray(x) for x in (boxes_xyxy, scores, classes, counts)), image_sizes_hw, strict=True
    )
    return [
        (
            boxes_from_letterbox(boxes[:count], letterbox_params(image_hw, input_hw), image_hw),
            score[:count],
            label[:count],
        )
        if all(image_hw)
        else (boxes[:0], score[:0], label[:0])
        for boxes, score, label, count, image_hw in batch
    ]


def _open(source, names_file) -> tuple[keras.Model, Config, list[str], int, str]:
    """Return network, configuration, class names, input size and origin of a detector's source."""
    if isinstance(source, keras.Model):
        num_classes = source.outputs[0].shape[-1] - 5
        names = [str(index) for index in range(num_classes)]
        config = Config(tiny=len(source.outputs) == 2)
        return source, config, names, config.train_input_size, source.name
    if not isinstance(source, Checkpoint) and Path(source).is_file():
        model, config, names = open_darknet(source, names_file)
        return model, config, names, config.train_input_size, str(source)
    if names_file is not None:
        raise ValueError(
            f"{names_file}: expected Darknet weights for these names; received {source}, where "
            "a checkpoint has names of its own"
        )
    checkpoint = source if isinstance(source, Checkpoint) else find_checkpoint(source)
    weights, names = checkpoint.weights(), checkpoint.class_names
    try:
        model = network_with(weights, len(names), checkpoint.config.tiny)
    except ValueError as error:
        raise ValueError(f"{checkpoint.path}: {error}") from None
    origin = str(checkpoint.path)
    return model, checkpoint.config, checkpoint.class_names, checkpoint.input_size, origin


def _given(value, default):
    return default if value is None else value
