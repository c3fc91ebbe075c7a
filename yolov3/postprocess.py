"""Raw maps -> non-maximum suppression -> boxes, in the graph and for a whole batch."""

import tensorflow as tf

from yolov3.boxes import xywh_to_xyxy
from yolov3.yolov3 import decode

MAX_DETECTIONS = 100  # per picture; the COCO metrics count no more


def detect_boxes(raw_maps, anchors, strides, score_threshold, iou_threshold):
    """Return the detections of a batch.

    They are boxes_xyxy (B, M, 4), scores (B, M), classes (B, M) and counts (B,). `raw_maps` holds
    one (B, G, G, A, 5 + C) per scale, `anchors` is (S, A, 2) and `strides` (S,), in pixels. Boxes
    are in pixels of the input, by falling score, padded with zeros beyond `counts`. The score of a
    class is confidence times class probability. Each class is suppressed on its own: a box goes
    when its IoU with a better one of the same class exceeds `iou_threshold`.
    """
    depth = raw_maps[0].shape[-1]
    decoded = [  # per scale (B, G * G * A, 5 + C)
        tf.reshape(decode(raw, anchor, stride), [tf.shape(raw)[0], -1, depth])
        for raw, anchor, stride in zip(raw_maps, anchors, strides, strict=True)
    ]
    predictions = tf.concat(decoded, axis=1)  # (B, all cells and anchors, 5 + C)
    boxes_xyxy = xywh_to_xyxy(predictions[..., :4])
    boxes, scores, classes, counts = tf.image.combined_non_max_suppression(
        boxes_xyxy[:, :, tf.newaxis],
        predictions[..., 4:5] * predictions[..., 5:],
        max_output_size_per_class=MAX_DETECTIONS,
        max_total_size=MAX_DETECTIONS,
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
        # Clipping would be to [0, 1]; these are pixels, and x before y changes no IoU.
        clip_boxes=False,
    )
    return boxes, scores, tf.cast(classes, tf.int32), counts
