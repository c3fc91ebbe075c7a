"""The backend of a `Detector` for networks in TensorFlow: checkpoints, Darknet weights, models."""

from pathlib import Path

import keras
import tensorflow as tf

from yolov3.checkpoints import Checkpoint, find_checkpoint
from yolov3.configs import ANCHORS_PER_SCALE, Config, shown_threshold
from yolov3.darknet import network_floats, open_darknet
from yolov3.kernels.folding import fold
from yolov3.kernels.hardware import choose_precision, grow_gpu_memory
from yolov3.postprocess import detect_boxes
from yolov3.weights import class_count, is_tiny, load_state_dict, network_name
from yolov3.yolov3 import build_yolov3, to_float


class TensorFlowBackend:
    """Run what `open_network` returned: see `detection.open_backend`.

    Batch normalisation is folded into the convolutions.
    """

    is_dynamic = True

    def __init__(self, opened: tuple, precision: str):
        model, self.checkpoint, self.config, self.class_names, self.input_size, self.weights = (
            opened
        )
        metrics = self.checkpoint.metrics if self.checkpoint else {}
        self.score_threshold = shown_threshold(metrics, self.config.test_score_threshold)
        self.precision = choose_precision(precision)
        self.network = fold(model, self.precision)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])
    def run(self, images) -> list:
        """Return the raw maps (B, G, G, A, 5 + C) of uint8 (B, h, w, 3)."""
        return self.network(to_float(images), training=False)

    def suppression(self, **rule):
        """Return a `tf.function` that does the NMS of raw maps."""
        raw_map = tf.TensorSpec([None, None, None, ANCHORS_PER_SCALE, 5 + len(self.class_names)])
        scales = {"anchors": self.config.anchors, "strides": self.config.strides}
        threshold = tf.TensorSpec([], tf.float32)

        @tf.function(input_signature=[[raw_map] * len(self.config.strides), threshold, threshold])
        def suppress(raw_maps, score_threshold, iou_threshold):
            thresholds = {"score_threshold": score_threshold, "iou_threshold": iou_threshold}
            return detect_boxes(raw_maps, **scales, **thresholds, **rule)

        return suppress


def open_network(source, anchors=None) -> tuple:
    """Open the source of a detector.

    Returns network, checkpoint or None, configuration, class names, input size and origin.
    """
    grow_gpu_memory()  # the network is the first to use it
    checkpoint = None
    if isinstance(source, keras.Model):
        own_names = [str(index) for index in range(class_count(source))]
        model, config = source, Config(tiny=is_tiny(source), anchors=anchors)
        size, weights = config.train_input_size, source.name
    elif not isinstance(source, Checkpoint) and Path(source).is_file():
        model, config, own_names = open_darknet(source, anchors=anchors)
        size, weights = config.train_input_size, str(source)
    else:
        checkpoint = source if isinstance(source, Checkpoint) else find_checkpoint(source)
        if anchors is not None:
            raise ValueError(f"anchors: {checkpoint.path} has its own, with which it was trained")
        model, config = _network_of(checkpoint), checkpoint.config
        own_names = checkpoint.class_names
        size, weights = checkpoint.input_size, str(checkpoint.path)
    return model, checkpoint, config, own_names, size, weights


def _network_of(checkpoint) -> keras.Model:
    """Build the network that has the weights of a checkpoint.

    Raises ValueError if they are those of another one, if possible before anything is built: a
    stranger's checkpoint may claim more classes than memory holds.
    """
    weights, tiny = checkpoint.weights(), checkpoint.config.tiny
    num_classes = len(checkpoint.class_names)
    numbers = sum(value.size for value in weights.values())
    if numbers != network_floats(tiny, num_classes):
        expected = f"weights of {network_name(tiny)} for {num_classes} classes"
        raise ValueError(f"{checkpoint.path}: expected {expected}; received {numbers:,} numbers")
    model = build_yolov3(num_classes, tiny, kernel_initializer="zeros")
    try:
        load_state_dict(model, weights)
    except ValueError as error:
        raise ValueError(f"{checkpoint.path}: {error}") from None
    return model
