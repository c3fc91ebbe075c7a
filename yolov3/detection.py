"""Find objects in images with a trained network."""

import copy
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from yolov3.checkpoints import Checkpoint, find_checkpoint
from yolov3.class_names import read_class_names
from yolov3.configs import FRACTION, INPUT_SIZE, SHOWN_SCORE_THRESHOLD, Config
from yolov3.darknet import network_floats, open_darknet
from yolov3.images import letterbox
from yolov3.kernels.folding import fold
from yolov3.kernels.hardware import choose_precision, grow_gpu_memory
from yolov3.metrics import one_label
from yolov3.postprocess import MAX_DETECTIONS, detect_boxes, unletterbox
from yolov3.weights import class_count, is_tiny, load_state_dict, network_name
from yolov3.yolov3 import build_yolov3, to_float

ROOM = 4  # times as many boxes as are kept: some are a second label, or of other classes


class Detector:
    """Detect objects: `detector(image_rgb_uint8) -> boxes_xyxy, scores, classes`.

    `source` is a trained Keras model of `build_yolov3`, a `Checkpoint`, or the path of a
    checkpoint, of a folder of them, or of a file of Darknet weights. `names` are its class names, a
    list or the path of a names file; a model and Darknet weights also take `anchors`, numbers or
    the name of a preset. Input size, one number or (height, width), and thresholds are those of the
    checkpoint unless given: the size it was last trained at, the score threshold that was best in
    its validation, or that of its configuration if the run set one, as for the IoU threshold.
    With `classes`, names or indices, no others are found, and with `agnostic_nms` NMS does not
    distinguish classes. An object gets its best class, see `metrics.one_label`, with `multi_label`
    each class above the threshold. Of each image the best `max_detections` are kept. The network
    runs with batch normalisation folded into the convolutions, in the precision that suits this
    hardware. On a CPU it runs faster where nothing else is done with TensorFlow: call
    `cli.run.import_tensorflow(frozen_weights=True)` first.

    Its settings are attributes that cannot be changed; `checkpoint` is None for other sources.
    Raises ValueError where the path holds none of these, for names, classes or anchors that do not
    fit, and for a setting out of range.
    """

    def __init__(
        self,
        source,
        *,
        input_size: int | tuple[int, int] | None = None,
        score_threshold: float | None = None,
        iou_threshold: float | None = None,
        precision: str = "auto",
        names=None,
        classes=None,
        agnostic_nms: bool = False,
        multi_label: bool = False,
        anchors=None,
        max_detections: int = MAX_DETECTIONS,
    ):
        Config(precision=precision)  # refuses an unknown one
        grow_gpu_memory()  # the network is the first to use it
        model, self.checkpoint, self.config, self.class_names, trained_size, self.weights = _open(
            source, names, anchors
        )
        self.anchors = self.config.anchors  # (S, A, 2) in pixels, fine to coarse
        self.input_hw = _input_hw(trained_size if input_size is None else input_size)
        self.classes = None if classes is None else class_indices(classes, self.class_names)
        self.score_threshold = _threshold(score_threshold, self._default_threshold())
        self.iou_threshold = _threshold(iou_threshold, self.config.test_iou_threshold)
        self.agnostic_nms, self.multi_label = agnostic_nms, multi_label
        self.max_detections, self.max_per_class = max_detections, None
        self.precision = choose_precision(precision)
        self.network = fold(model, self.precision)

    def __setattr__(self, name: str, value):
        if name in self.__dict__:  # the graph was built with it
            raise AttributeError(f"{name} of a detector cannot be changed: make another detector")
        super().__setattr__(name, value)

    @property
    def description(self) -> str:
        """Say which network this is, from where, and how it runs."""
        height, width = self.input_hw
        return f"{self.config.network} of {self.weights}, {height}x{width}, {self.precision}"

    @property
    def threshold_note(self) -> str:
        """Say what the score threshold is, and why if the validation chose it."""
        metrics = self.checkpoint.metrics if self.checkpoint else {}
        is_best = self.score_threshold == metrics.get("best_threshold")
        why = f", the best of the validation (F1 {metrics.get('F1', 0):.2f})" if is_best else ""
        return f"score threshold {self.score_threshold:g}{why}"

    def _default_threshold(self) -> float:
        metrics = self.checkpoint.metrics if self.checkpoint else {}
        best = metrics.get("best_threshold", SHOWN_SCORE_THRESHOLD)
        return self.config.test_score_threshold or best

    def for_metrics(self, max_per_class: int) -> "Detector":
        """Return a detector of this network for mAP: several classes of a prediction count.

        Of each image and class the best `max_per_class` are kept.
        """
        detector = copy.copy(self)
        vars(detector).update(multi_label=True, max_per_class=max_per_class)
        return detector

    def __call__(self, image_rgb: np.ndarray, *, score_threshold: float | None = None):
        """Detect in one image, uint8 (H, W, 3) RGB of any size.

        Returns boxes_xyxy (N, 4) float32 in pixels of the image, scores (N,), falling, and
        classes (N,). `score_threshold` is that of the detector unless given.
        """
        return self.detect_batch([image_rgb], score_threshold=score_threshold)[0]

    def detect_batch(self, images_rgb, *, score_threshold: float | None = None) -> list[tuple]:
        """Detect in several images of any sizes at once; return for each what `__call__` does.

        Raises ValueError for an image that is not uint8 (H, W, 3).
        """
        for image in images_rgb:
            kind, shape = getattr(image, "dtype", type(image).__name__), np.shape(image)
            if kind != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
                raise ValueError(f"expected images of uint8 (H, W, 3); received {kind} {shape}")
        images = np.stack([letterbox(image, self.input_hw) for image in images_rgb])
        sizes_hw = [image.shape[:2] for image in images_rgb]
        return self.detect_letterboxed(images, sizes_hw, score_threshold=score_threshold)

    def detect_letterboxed(
        self, images, image_sizes_hw, *, score_threshold: float | None = None
    ) -> list[tuple]:
        """Detect in uint8 (B, h, w, 3), images that `letterbox` fitted into `input_hw`.

        `image_sizes_hw` are their own sizes. Returns for each what `__call__` does.
        """
        threshold = _threshold(score_threshold, self.score_threshold)
        padded = self._run(images, threshold, self.iou_threshold)
        found = unletterbox(*padded, image_sizes_hw, self.input_hw)
        return [self._chosen(*objects) for objects in found]

    def _chosen(self, boxes_xyxy, scores, classes) -> tuple:
        """Return what is wanted of the boxes that NMS keeps in an image."""
        several = self.multi_label or self.agnostic_nms  # the latter has left one label
        chosen = np.ones(len(scores), bool) if several else one_label(boxes_xyxy, scores, classes)
        if self.classes is not None:
            chosen &= np.isin(classes, self.classes)
        chosen = np.flatnonzero(chosen)[: None if self.max_per_class else self.max_detections]
        return boxes_xyxy[chosen], scores[chosen], classes[chosen]

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.uint8),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([], tf.float32),
        ]
    )
    def _run(self, images, score_threshold, iou_threshold):
        raw_maps = self.network(to_float(images), training=False)
        return self.suppress(raw_maps, score_threshold, iou_threshold)

    def suppress(self, raw_maps, score_threshold, iou_threshold):
        """Return what `detect_boxes` does, in the way of this detector."""
        return detect_boxes(
            raw_maps,
            anchors=self.anchors,
            strides=self.config.strides,
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            agnostic=self.agnostic_nms,
            max_detections=ROOM * max(self.max_detections, MAX_DETECTIONS),
            max_per_class=self.max_per_class,
        )


def class_indices(words, class_names) -> list[int]:
    """Return the indices of one class or several, given by name or else by index.

    Raises ValueError that lists the names for one that is neither.
    """
    words = [words] if isinstance(words, str) else words
    indices = {name: index for index, name in reversed(list(enumerate(class_names)))}
    indices = {str(index): index for index in range(len(class_names))} | indices
    for word in words:
        if str(word) not in indices:
            names = ", ".join(class_names)
            raise ValueError(f"classes: expected some of {names}; received {word!r}")
    return [indices[str(word)] for word in words]


def _open(source, names, anchors) -> tuple:
    """Open a detector's source.

    Returns network, checkpoint or None, configuration, class names, input size and origin.
    """
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
    return model, checkpoint, config, _class_names(names, own_names, weights), size, weights


def _network_of(checkpoint) -> keras.Model:
    """Build the network that has the weights of a checkpoint.

    Raises ValueError if they are those of another one, if possible before anything is built: a
    stranger's checkpoint may claim more classes than memory holds.
    """
    weights, tiny = checkpoint.weights(), checkpoint.config.tiny
    num_classes = len(checkpoint.class_names)
    numbers = sum(value.size for value in weights.values())
    if numbers != network_floats(tiny, num_classes):
        raise ValueError(
            f"{checkpoint.path}: expected weights of {network_name(tiny)} for {num_classes} "
            f"classes; received {numbers:,} numbers"
        )
    model = build_yolov3(num_classes, tiny, kernel_initializer="zeros")
    try:
        load_state_dict(model, weights)
    except ValueError as error:
        raise ValueError(f"{checkpoint.path}: {error}") from None
    return model


def _class_names(names, own_names, weights) -> list[str]:
    """Return the names that were given, if any: a list, or what a file holds."""
    if names is None:
        return own_names
    is_path = isinstance(names, str | Path)
    given = read_class_names(names) if is_path else list(names)
    if len(given) != len(own_names):
        raise ValueError(
            f"{names if is_path else 'names'}: expected {len(own_names)} class names, for the "
            f"{len(own_names)} classes of {weights}; received {len(given)}"
        )
    return given


def _input_hw(size) -> tuple[int, int]:
    height, width = size if isinstance(size, list | tuple) else (size, size)
    return tuple(int(_checked("input_size", side, INPUT_SIZE)) for side in (height, width))


def _threshold(value, default) -> float:
    return _checked("threshold", default if value is None else value, FRACTION)


def _checked(name: str, value, rule):
    if not rule.holds(value):
        raise ValueError(f"{name}: expected {rule.expected}; received {value!r}")
    return value
