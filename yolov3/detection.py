"""Find objects in images with a trained network."""

import copy
from pathlib import Path

import numpy as np

from yolov3.class_names import read_class_names
from yolov3.configs import FRACTION, INPUT_SIZE, Config
from yolov3.exported import ExportedBackend, format_of
from yolov3.images import letterbox
from yolov3.nms import MAX_DETECTIONS, one_label, unletterbox
from yolov3.text import require

ROOM = 4  # times as many boxes as are kept: some are a second label, or of other classes


class Detector:
    """Detect objects: `detector(image_rgb_uint8) -> boxes_xyxy, scores, classes`.

    `source` is a trained Keras model of `build_yolov3`, a `Checkpoint`, or the path of a
    checkpoint, of a folder of them, of a file of Darknet weights, or of one of export.py, which
    another runtime runs; or a backend of `open_backend`. `names` are its class names, a
    list or the path of a names file; a model and Darknet weights also take `anchors`, numbers or
    the name of a preset. Input size, one number or (height, width), and thresholds are those of the
    checkpoint unless given: the size it was last trained at, the score threshold that was best in
    its validation, or that of its configuration if the run set one, as for the IoU threshold.
    With `classes`, names or indices, no others are found, and with `agnostic_nms` NMS does not
    distinguish classes. An object gets its best class, see `nms.one_label`, with `multi_label`
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
        self.backend = backend = open_backend(source, anchors, precision)
        self.checkpoint, self.config = backend.checkpoint, backend.config
        self.weights, self.precision = backend.weights, backend.precision
        self.class_names = _class_names(names, backend.class_names, self.weights)
        self.anchors = self.config.anchors  # (S, A, 2) in pixels, fine to coarse
        self.input_hw = _input_hw(backend.input_size if input_size is None else input_size)
        if not backend.is_dynamic and self.input_hw != backend.input_size:
            fixed = "{}x{}".format(*backend.input_size)
            raise ValueError(f"input_size: {self.weights} takes {fixed} alone, not {input_size!r}")
        self.classes = None if classes is None else class_indices(classes, self.class_names)
        self.score_threshold = _threshold(score_threshold, backend.score_threshold)
        self.iou_threshold = _threshold(iou_threshold, self.config.test_iou_threshold)
        self.agnostic_nms, self.multi_label = agnostic_nms, multi_label
        self.max_detections, self.max_per_class = max_detections, None
        self.suppress = self._suppression()

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

    def for_metrics(self, max_per_class: int) -> "Detector":
        """Return a detector of this network for mAP: several classes of a prediction count.

        Of each image and class the best `max_per_class` are kept.
        """
        detector = copy.copy(self)
        vars(detector).update(multi_label=True, max_per_class=max_per_class)
        vars(detector).update(suppress=detector._suppression())
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
        padded = self.suppress(self.backend.run(images), threshold, self.iou_threshold)
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

    def _suppression(self):
        return self.backend.suppression(
            agnostic=self.agnostic_nms,
            max_detections=ROOM * max(self.max_detections, MAX_DETECTIONS),
            max_per_class=self.max_per_class,
        )


def open_backend(source, anchors=None, precision: str = "auto"):
    """Open the source of a `Detector` with what runs it; a backend is one already.

    A backend has `config`, `class_names`, `weights` (where they are from), `checkpoint` or None,
    `precision`, `score_threshold`, `input_size`, that of its training, and `is_dynamic`, whether it
    takes others, as attributes. `run(images)` runs the network on uint8 (B, h, w, 3),
    letterboxed. `suppression(agnostic, max_detections, max_per_class)` returns the NMS behind it,
    `(what run returned, score_threshold, iou_threshold)` -> boxes_xyxy, scores, classes and counts
    as of `postprocess.detect_boxes`.
    """
    if format_of(source):
        if anchors is not None or precision != "auto":
            raise ValueError(f"{source}: has anchors and a precision of its own")
        return ExportedBackend(source)
    if hasattr(source, "suppression"):
        return source
    from yolov3.tensorflow_backend import TensorFlowBackend, open_network

    return TensorFlowBackend(open_network(source, anchors), precision)


def class_indices(words, class_names) -> list[int]:
    """Return the indices of classes, given by name or else by index.

    They are a list, or one text with commas between them, unless it is the name of a class.
    Raises ValueError that lists the names for one that is neither.
    """
    indices = {name: index for index, name in reversed(list(enumerate(class_names)))}
    indices = {str(index): index for index in range(len(class_names))} | indices
    if isinstance(words, str):
        words = [words] if words in indices else words.split(",")
    for word in words:
        expected = f"some of {', '.join(map(repr, class_names))}"
        require(str(word) in indices, "classes", expected, word)
    return [indices[str(word)] for word in words]


def _class_names(names, own_names, weights) -> list[str]:
    """Return the names that were given, if any: a list, or what a file holds."""
    if names is None:
        return own_names
    is_path = isinstance(names, str | Path)
    given = read_class_names(names) if is_path else list(names)
    count, where = len(own_names), names if is_path else "names"
    expected = f"{count} class names, for the {count} classes of {weights}"
    require(len(given) == count, where, expected, len(given))
    return given


def _input_hw(size) -> tuple[int, int]:
    height, width = size if isinstance(size, list | tuple) else (size, size)
    return tuple(int(INPUT_SIZE.check("input_size", side)) for side in (height, width))


def _threshold(value, default) -> float:
    return FRACTION.check("threshold", default if value is None else value)
