"""The three losses of YOLOv3: box (GIoU), confidence and class."""

import tensorflow as tf

from yolov3.boxes import bbox_giou, bbox_iou, xywh_to_xyxy
from yolov3.labels import assign_anchors, trim_padding
from yolov3.yolov3 import decode

IGNORE_IOU = 0.5  # a prediction of this IoU or more with any true box is not punished as background
LABEL_SMOOTHING = 0.01


def batch_losses(raw_maps, boxes_xyxy, classes, *, anchors, strides) -> dict[str, tf.Tensor]:
    """Return the losses {"giou", "conf", "prob"} of a batch, for training and validation alike.

    `raw_maps` holds one (B, G, G, A, 5 + C) per scale, `boxes_xyxy` (B, N, 4) in pixels of the
    input and `classes` (B, N) are padded with empty boxes, `anchors` is (S, A, 2), `strides` (S,).
    """
    boxes_xyxy, classes = trim_padding(boxes_xyxy, classes)
    grid_sizes = [tf.unstack(tf.shape(raw)[1:3]) for raw in raw_maps]
    num_classes = raw_maps[0].shape[-1] - 5
    targets = assign_anchors(boxes_xyxy, classes, anchors, strides, grid_sizes, num_classes)
    return compute_loss(raw_maps, targets, boxes_xyxy, anchors, strides)


def compute_loss(raw_maps, targets, boxes_xyxy, anchors, strides) -> dict[str, tf.Tensor]:
    """Return the scalar losses {"giou", "conf", "prob"} of a batch, float32.

    `raw_maps` and `targets` hold one (B, G, G, A, 5 + C) per scale (raw maps of the network,
    targets of `assign_anchors`), `boxes_xyxy` is (B, N, 4) in pixels, padded with empty boxes,
    `anchors` (S, A, 2) and `strides` (S,). Each loss is summed over cells, anchors and scales, then
    averaged over the batch.
    """
    totals = {"giou": 0.0, "conf": 0.0, "prob": 0.0}
    for raw, target, anchor, stride in zip(raw_maps, targets, anchors, strides, strict=True):
        for name, loss in _scale_loss(raw, target, boxes_xyxy, anchor, stride).items():
            per_image = tf.reduce_sum(loss, axis=[1, 2, 3])  # (B, G, G, A) -> (B,)
            totals[name] += tf.reduce_mean(per_image)
    return totals


def _scale_loss(raw, target, boxes_xyxy, anchors, stride):
    raw = tf.cast(raw, tf.float32)
    raw_box, confidence, raw_classes = tf.split(raw, [4, 1, raw.shape[-1] - 5], axis=-1)
    confidence = tf.squeeze(confidence, axis=-1)  # (B, G, G, A, 1) -> (B, G, G, A)
    predicted_xyxy = xywh_to_xyxy(decode(raw_box, anchors, stride))
    input_size_hw = tf.cast(tf.shape(raw)[1:3] * stride, tf.float32)
    has_object = target[..., 4]
    background = (1.0 - has_object) * _background_mask(predicted_xyxy, boxes_xyxy)
    return {
        "giou": has_object
        * giou_loss(predicted_xyxy, target[..., :4], tf.reduce_prod(input_size_hw)),
        "conf": confidence_loss(confidence, has_object, background),
        "prob": has_object * class_loss(raw_classes, target[..., 5:]),
    }


def giou_loss(predicted_xyxy, true_xywh, input_area):
    """Return (2 - w * h / input_area) * (1 - GIoU) for (..., 4) boxes in pixels: (...).

    The factor, from 2 for the smallest box to 1 for one that fills the image, makes up for the
    fewer pixels from which a small box is learned.
    """
    scale = 2.0 - true_xywh[..., 2] * true_xywh[..., 3] / input_area
    return scale * (1.0 - bbox_giou(predicted_xyxy, xywh_to_xyxy(true_xywh)))


def confidence_loss(logits, has_object, background):
    """Return the focal-weighted cross-entropy of confidence logits (...), where they count: (...).

    `has_object` and `background` are 1 or 0; where both are 0 the prediction overlaps an object
    that another anchor answers for, and is neither rewarded nor punished. The focal weight, the
    squared error of the confidence, lets the few hard predictions outweigh thousands of easy
    background ones (Lin et al. 2017, "Focal Loss for Dense Object Detection", gamma = 2).
    """
    focal = tf.square(has_object - tf.sigmoid(logits))
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=has_object, logits=logits)
    return focal * (has_object + background) * cross_entropy


def class_loss(logits, one_hot):
    """Return the smoothed sigmoid cross-entropy of (..., C) class logits: (...).

    It is summed over classes. Each class is a question of its own, yes or no, so an object may
    belong to several.
    """
    num_classes = tf.cast(tf.shape(one_hot)[-1], tf.float32)
    smoothed = one_hot * (1.0 - LABEL_SMOOTHING) + LABEL_SMOOTHING / num_classes
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=smoothed, logits=logits)
    return tf.reduce_sum(cross_entropy, axis=-1)


def _background_mask(predicted_xyxy, boxes_xyxy):
    """Return 1 where a prediction has IoU < `IGNORE_IOU` with all boxes, else 0: (B, G, G, A).

    `predicted_xyxy` is (B, G, G, A, 4), `boxes_xyxy` (B, N, 4).
    """
    true = boxes_xyxy[:, tf.newaxis, tf.newaxis, tf.newaxis]  # (B, 1, 1, 1, N, 4)
    iou = bbox_iou(predicted_xyxy[..., tf.newaxis, :], true)  # (B, G, G, A, N)
    return tf.cast(tf.reduce_max(iou, axis=-1) < IGNORE_IOU, tf.float32)
