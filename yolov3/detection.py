"""Find objects in pictures with a trained network."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from yolov3.checkpoints import Checkpoint, find_checkpoint
from yolov3.configs import Config
from yolov3.darknet import open_darknet
from yolov3.folding import fold_into
from yolov3.images import boxes_from_letterbox, letterbox, letterbox_of
from yolov3.postprocess import detect_boxes
from yolov3.precision import INFERENCE_POLICIES, choose_precision
from yolov3.weights import set_weights
from yolov3.yolov3 import build_yolov3


class Detector:
    """Detect objects: `detector(image_rgb_uint8) -> boxes_xyxy, scores, classes`.

    `source` is a trained Keras model of `build_yolov3`, a `Checkpoint`, or the path of a
    checkpoint, of a folder of them, or of a file of Darknet weights. Input size and thresholds are
    those of the checkpoint unless given: the size it was last trained at, the thresholds of its
    configuration. The network runs with batch normalisation folded into the convolutions, in the
    precision that suits this hardware.
    Raises ValueError where the path holds none of these whole.
    """

    def __init__(
        self,
        source,
        input_size: int | None = None,
        score_threshold: float | None = None,
        iou_threshold: float | None = None,
        precision: str = "auto",
    ):
        model, self.config, self.class_names, trained_size, self.origin = _open(source)
        self.input_size = input_size or trained_size
        self.score_threshold = _given(score_threshold, self.config.test_score_threshold)
        self.iou_threshold = _given(iou_threshold, self.config.test_iou_threshold)
        self.precision = choose_precision(precision)
        policy = INFERENCE_POLICIES[self.precision]
        self.network = build_yolov3(len(self.class_names), self.config.tiny, policy, folded=True)
        fold_into(self.network, model)

    @property
    def description(self) -> str:
        """Say which network this is, from where, and how it runs."""
        size = f"{self.input_size}x{self.input_size}"
        return f"{self.config.network} of {self.origin}, {size}, {self.precision}"

    def __call__(self, image_rgb: np.ndarray):
        """Detect in one picture, uint8 (H, W, 3) RGB of any size.

        Returns boxes_xyxy (N, 4) float32 in pixels of the picture, scores (N,), falling, and
        classes (N,).
        """
        return self.detect_batch([image_rgb])[0]

    def detect_batch(self, images_rgb) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Detect in several pictures of any sizes at once; return for each what `__call__` does."""
        canvas_hw = (self.input_size, self.input_size)
        canvases = np.stack([letterbox(image, canvas_hw) for image in images_rgb])
        boxes, scores, classes, counts = self.detect_canvases(canvases)
        return unletterbox(
            boxes, scores, classes, counts, [image.shape[:2] for image in images_rgb], canvas_hw
        )

    def detect_canvases(self, canvases):
        """Run network and suppression on letterboxed uint8 (B, H, W, 3).

        Returns what `postprocess.detect_boxes` returns.
        """
        return self._run(canvases, self.score_threshold, self.iou_threshold)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.uint8),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([], tf.float32),
        ]
    )
    def _run(self, canvases, score_threshold, iou_threshold):
        raw_maps = self.network(tf.cast(canvases, tf.float32) / 255.0, training=False)
        return detect_boxes(
            raw_maps, self.config.anchors, self.config.strides, score_threshold, iou_threshold
        )


def unletterbox(boxes_xyxy, scores, classes, counts, image_sizes_hw, canvas_hw) -> list[tuple]:
    """Take the padded detections of a batch to pixels of each picture.

    Returns [(boxes_xyxy, scores, classes)].
    """
    batch = zip(
        *(np.asarray(x) for x in (boxes_xyxy, scores, classes, counts)), image_sizes_hw, strict=True
    )
    return [
        (
            boxes_from_letterbox(boxes[:count], letterbox_of(image_hw, canvas_hw), image_hw),
            score[:count],
            label[:count],
        )
        for boxes, score, label, count, image_hw in batch
    ]


def _open(source) -> tuple[keras.Model, Config, list[str], int, str]:
    """Return network, configuration, class names, input size and origin of a detector's source."""
    if isinstance(source, keras.Model):
        num_classes = source.outputs[0].shape[-1] - 5
        names = [str(index) for index in range(num_classes)]
        config = Config(tiny=len(source.outputs) == 2)
        return source, config, names, config.train_input_size, source.name
    if not isinstance(source, Checkpoint) and Path(source).is_file():
        model, config, names = open_darknet(source)
        return model, config, names, config.train_input_size, str(source)
    checkpoint = source if isinstance(source, Checkpoint) else find_checkpoint(source)
    model = build_yolov3(len(checkpoint.class_names), checkpoint.config.tiny)
    set_weights(model, checkpoint.weights())
    origin = str(checkpoint.path)
    return model, checkpoint.config, checkpoint.class_names, checkpoint.input_size, origin


def _given(value, default):
    return default if value is None else value
