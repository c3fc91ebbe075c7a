"""Losses and mAP of a network over annotated images."""

from itertools import islice

import keras
import numpy as np
import tensorflow as tf

from yolov3 import metrics
from yolov3.configs import EVAL_SCORE_THRESHOLD, Config, shown_threshold
from yolov3.dataset import evaluation_batches
from yolov3.draw import draw_comparison
from yolov3.kernels.folding import fold, refold
from yolov3.losses import batch_losses
from yolov3.nms import unletterbox
from yolov3.postprocess import detect_boxes
from yolov3.train_step import BATCH_SIGNATURE
from yolov3.yolov3 import to_float

BATCH_SIZE = 8
NUM_EXAMPLES = 4  # images to look at
LOSSES = ("giou", "conf", "prob")


class Validator:
    """Measure a network again and again.

    One forward pass gives the losses and the mAP of the same raw maps. Of the last measurement,
    `unreadable` holds the paths of the images that could not be read; `matches`, `curves` (3, C, S)
    and `threshold` what was found; and `examples` the first images of `draw_comparison`.
    """

    def __init__(self, config: Config, records, class_names, precision: str):
        self.config, self.records, self.class_names = config, records, class_names
        self.limit = metrics.detection_limit(records)  # detections per image and class
        self.unreadable: list[str] = []
        self.precision, self.network = precision, None

    def __call__(self, model: keras.Model, input_size: int) -> dict[str, float]:
        """Return giou, conf, prob, total (means per image), mAP50, mAP75, mAP and `best_point`.

        An image that cannot be read counts as a grey one without detections.
        """
        if self.network:
            refold(self.network, model)
        else:
            self.network = fold(model, self.precision)
        return self._judge(*self._measure(self.records, input_size))

    def _measure(self, records, input_size):
        """Return the `LOSSES` of each image, its detections, and its height, 0 if unreadable."""
        losses, detections, heights = [], [], []
        for *batch, sizes_hw in evaluation_batches(records, BATCH_SIZE, input_size):
            means, detected = self._run(*batch)
            losses += [[float(means[name]) for name in LOSSES]] * len(sizes_hw)
            detections += unletterbox(*detected, sizes_hw.numpy(), (input_size, input_size))
            heights += sizes_hw[:, 0].numpy().tolist()
        return losses, detections, heights

    def _judge(self, losses, detections, heights):
        sized = zip(self.records, heights, strict=True)
        self.unreadable = [record.image_path for record, height in sized if not height]
        figures = dict(zip(LOSSES, np.mean(losses, axis=0).tolist(), strict=True))
        figures["total"] = sum(figures.values())
        num_classes = len(self.class_names)
        self.matches = metrics.match_detections(self.records, detections, num_classes, self.limit)
        precision = metrics.average_precision(self.matches, self.class_names)
        figures |= {name: precision[name] for name in ("mAP50", "mAP75", "mAP")}
        self.curves = metrics.score_curves(self.matches)
        figures |= metrics.best_point(metrics.mean_over_classes(self.curves))
        self.threshold = shown_threshold(figures, self.config.test_score_threshold)
        found = zip(self.records, detections, heights, strict=True)
        readable = ((record, objects) for record, objects, height in found if height)
        self.examples = [
            draw_comparison(record, objects, self.threshold, self.class_names)
            for record, objects in islice(readable, NUM_EXAMPLES)
        ]
        return figures

    @tf.function(input_signature=BATCH_SIGNATURE, autograph=False)
    def _run(self, images, boxes_xyxy, classes):
        network = {"anchors": self.config.anchors, "strides": self.config.strides}
        raw_maps = self.network(to_float(images), training=False)
        losses = batch_losses(raw_maps, boxes_xyxy, classes, **network)
        iou_threshold = self.config.test_iou_threshold
        thresholds = {"score_threshold": EVAL_SCORE_THRESHOLD, "iou_threshold": iou_threshold}
        return losses, detect_boxes(raw_maps, **network, **thresholds, max_per_class=self.limit)
