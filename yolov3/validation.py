"""Losses and mAP of a network over annotated images."""

import keras
import numpy as np
import tensorflow as tf

from yolov3.configs import EVAL_SCORE_THRESHOLD, SHOWN_SCORE_THRESHOLD, Config
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
    one_label,
    score_curves,
)
from yolov3.nms import unletterbox
from yolov3.postprocess import detect_boxes
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
            batch_means, detected = self._run(*batch)
            if not detections:
                self.examples = self._draw(batch[0], *detected)
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

    def _draw(self, images, *detected):
        """Draw what a `Detector` would find in the first images of a batch."""
        drawn = []
        arrays = (part[:NUM_EXAMPLES].numpy() for part in (images, *detected))
        for image, *objects, count in zip(*arrays, strict=True):
            boxes_xyxy, scores, classes = (part[:count] for part in objects)
            shown = one_label(boxes_xyxy, scores, classes)
            shown &= scores >= (self.config.test_score_threshold or SHOWN_SCORE_THRESHOLD)
            objects = boxes_xyxy[shown], classes[shown], self.class_names, scores[shown]
            drawn.append(draw_boxes(image, *objects))
        return np.stack(drawn)

    @tf.function(input_signature=BATCH_SIGNATURE, autograph=False)
    def _run(self, images, boxes_xyxy, classes):
        network = {"anchors": self.config.anchors, "strides": self.config.strides}
        raw_maps = self.network(to_float(images), training=False)
        losses = batch_losses(raw_maps, boxes_xyxy, classes, **network)
        thresholds = {
            "score_threshold": EVAL_SCORE_THRESHOLD,
            "iou_threshold": self.config.test_iou_threshold,
        }
        return losses, detect_boxes(raw_maps, **network, **thresholds, max_per_class=self.limit)
