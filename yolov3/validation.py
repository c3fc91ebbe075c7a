"""Losses and mAP of a network over annotated images."""

import keras
import numpy as np
import tensorflow as tf

from yolov3.configs import EVAL_SCORE_THRESHOLD, Config
from yolov3.dataset import evaluation_batches
from yolov3.draw import draw_boxes
from yolov3.kernels.folding import fold, refold
from yolov3.losses import batch_losses
from yolov3.metrics import (
    average_precision,
    best_point,
    detection_limit,
    match_detections,
    mean_over_classes,
    score_curves,
)
from yolov3.postprocess import detect_boxes, unletterbox
from yolov3.train_step import BATCH_SIGNATURE
from yolov3.yolov3 import to_float

BATCH_SIZE = 8
NUM_EXAMPLES = 4  # images to look at


class Validator:
    """Measure a network again and again.

    One forward pass gives the losses and the mAP of the same raw maps. Of the last measurement,
    `unreadable` holds the paths of the images that could not be read, and `examples` the first
    images as the network saw them, with its detections, uint8 (B, H, W, 3) RGB.
    """

    def __init__(self, config: Config, records, class_names, precision: str):
        self.config, self.records, self.class_names = config, records, class_names
        self.limit = detection_limit(records)  # detections per image and class
        self.unreadable: list[str] = []
        self.examples = np.zeros((0, 0, 0, 3), np.uint8)
        self.precision, self.network = precision, None

    def __call__(self, model: keras.Model, input_size: int) -> dict[str, float]:
        """Return giou, conf, prob, total (means per image), mAP50, mAP75, mAP and `best_point`.

        An image that cannot be read counts as a grey one without detections.
        """
        if self.network:
            refold(self.network, model)
        else:
            self.network = fold(model, self.precision)
        losses, detections, sizes = [], [], []
        for *batch, sizes_hw in evaluation_batches(self.records, BATCH_SIZE, input_size):
            batch_means, detected, raw_maps = self._run(*batch)
            if not detections:
                self.examples = self._draw(batch[0], raw_maps)
            losses += [[float(loss) for loss in batch_means.values()]] * len(sizes_hw)
            detections += unletterbox(*detected, sizes_hw.numpy(), (input_size, input_size))
            sizes += sizes_hw.numpy().tolist()
        self.unreadable = [
            record.image_path
            for record, (height, _) in zip(self.records, sizes, strict=True)
            if not height
        ]
        names = [*batch_means, "total"]
        means = np.mean(losses, axis=0)
        matches = match_detections(self.records, detections, len(self.class_names), self.limit)
        precision = average_precision(matches, self.class_names)
        metrics = dict(zip(names, [*means.tolist(), float(means.sum())], strict=True))
        metrics |= {name: precision[name] for name in ("mAP50", "mAP75", "mAP")}
        return metrics | best_point(mean_over_classes(score_curves(matches)))

    def _draw(self, images, raw_maps):
        """Draw what a `Detector` would find in the first images of a batch."""
        detected = self._run_example([raw[:NUM_EXAMPLES] for raw in raw_maps])
        arrays = (part.numpy()[:NUM_EXAMPLES] for part in (images, *detected))
        return np.stack(
            [
                draw_boxes(image, boxes[:count], classes[:count], self.class_names, scores[:count])
                for image, boxes, scores, classes, count in zip(*arrays, strict=True)
            ]
        )

    @tf.function(input_signature=BATCH_SIGNATURE, autograph=False)
    def _run(self, images, boxes_xyxy, classes):
        anchors, strides = self.config.anchors, self.config.strides
        raw_maps = self.network(to_float(images), training=False)
        losses = batch_losses(raw_maps, boxes_xyxy, classes, anchors=anchors, strides=strides)
        rule = {"multi_label": True, "max_per_class": self.limit}
        return losses, self._detect(raw_maps, EVAL_SCORE_THRESHOLD, **rule), raw_maps

    @tf.function(autograph=False, reduce_retracing=True)  # input sizes change
    def _run_example(self, raw_maps):
        return self._detect(raw_maps, self.config.test_score_threshold)

    def _detect(self, raw_maps, score_threshold, **rule):
        return detect_boxes(
            raw_maps,
            anchors=self.config.anchors,
            strides=self.config.strides,
            score_threshold=score_threshold,
            iou_threshold=self.config.test_iou_threshold,
            **rule,
        )
