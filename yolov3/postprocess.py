"""Raw maps -> non-maximum suppression -> boxes, in the graph, for a batch at once."""

import tensorflow as tf

from yolov3.boxes import xywh_to_xyxy
from yolov3.nms import MAX_DETECTIONS
from yolov3.yolov3 import decode


def detect_boxes(
    raw_maps,
    *,
    anchors,
    strides,
    score_threshold,
    iou_threshold,
    agnostic=False,
    max_detections=MAX_DETECTIONS,
    max_per_class=None,
):
    """Return the boxes_xyxy (B, M, 4), scores (B, M), classes (B, M) and counts (B,) of a batch.

    `raw_maps` holds one (B, G, G, A, 5 + C) per scale, `anchors` is (S, A, 2) and `strides` (S,),
    in pixels. Boxes are in pixels of the input, by falling score, padded with zeros beyond
    `counts`. The best `max_detections` of an image are kept, or, if given, `max_per_class` of each
    class; both are Python ints, and M is the most that this can be.

    The score of a class is confidence times class probability, and a prediction, of a cell and
    anchor, has every class with a score of at least the threshold. NMS works per class: a box goes
    when its IoU with a better one of its class exceeds `iou_threshold`. With `agnostic`, a Python
    bool, a prediction has its best class alone, and a box also goes for a better one of any class.
    For one label per object without that, see `nms.one_label`.
    """
    # The kernels take scores above a threshold; a score of zero is no detection.
    score_threshold = tf.math.nextafter(tf.cast(score_threshold, tf.float32), 0.0)
    scales = zip(raw_maps, anchors, strides, strict=True)
    candidates = [_candidates(*scale, score_threshold) for scale in scales]
    boxes_xyxy, scores = (tf.concat(parts, axis=1) for parts in zip(*candidates, strict=True))
    num_classes = raw_maps[0].shape[-1] - 5
    per_class = max_per_class or max_detections
    total = max_per_class * num_classes if max_per_class else max_detections
    if agnostic and num_classes > 1:
        boxes_xyxy, scores = _nms_across_classes(
            boxes_xyxy, scores, score_threshold, iou_threshold, total
        )
    return _nms_per_class(boxes_xyxy, scores, score_threshold, iou_threshold, per_class, total)


def _nms_per_class(
    boxes_xyxy, scores, score_threshold, iou_threshold, max_per_class, max_detections
):
    """Suppress boxes (B, K, 4) by their scores (B, K, C); return what `detect_boxes` does."""
    boxes, scores, classes, counts = tf.image.combined_non_max_suppression(
        boxes_xyxy[:, :, tf.newaxis],
        scores,
        max_output_size_per_class=max_per_class,
        max_total_size=max_detections,
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
        # Clipping would be to [0, 1]; these are pixels, and x before y changes no IoU.
        clip_boxes=False,
    )
    return boxes, scores, tf.cast(classes, tf.int32), counts


def _nms_across_classes(boxes_xyxy, scores, score_threshold, iou_threshold, limit):
    """Suppress boxes of any class, and leave each its best class: (B, M, 4) and (B, M, C).

    `boxes_xyxy` is (B, K, 4), `scores` (B, K, C); M is the most boxes left in an image.
    """
    best, classes = tf.reduce_max(scores, axis=-1), tf.argmax(scores, axis=-1)  # (B, K)

    def suppress(image):
        return tuple(
            tf.raw_ops.NonMaxSuppressionV4(
                boxes=image[0],  # x before y changes no IoU
                scores=image[1],
                max_output_size=tf.minimum(limit, tf.shape(best)[1]),
                iou_threshold=iou_threshold,
                score_threshold=score_threshold,
                pad_to_max_output_size=True,
            )
        )

    kinds = tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)
    # (B, M), (B,)
    chosen, counts = tf.map_fn(suppress, (boxes_xyxy, best), fn_output_signature=kinds)
    parts = boxes_xyxy, best, classes
    boxes_xyxy, best, classes = (tf.gather(part, chosen, batch_dims=1) for part in parts)
    best = tf.where(tf.sequence_mask(counts, tf.shape(best)[1]), best, 0.0)
    return boxes_xyxy, best[..., tf.newaxis] * tf.one_hot(classes, scores.shape[-1])


def _candidates(raw, anchors, stride, score_threshold):
    """Return boxes_xyxy (B, K, 4) and scores (B, K, C) of one scale.

    No score exceeds the confidence, and few confidences exceed the threshold. Only these K are
    looked at further: of each image as many as the one with most of them has.
    """
    batch, depth = tf.shape(raw)[0], raw.shape[-1]
    decoded = tf.reshape(decode(raw[..., :5], anchors, stride), [batch, -1, 5])
    # Where activations overflow in half precision, raw maps hold NaN beside infinities.
    is_finite = tf.reduce_all(tf.math.is_finite(decoded), axis=-1, keepdims=True)
    decoded = tf.where(is_finite, decoded, 0.0)
    confidence = decoded[..., 4]  # (B, G * G * A)
    counts = tf.math.count_nonzero(confidence > score_threshold, axis=1, dtype=tf.int32)  # (B,)
    most = tf.maximum(tf.reduce_max(counts), 1)  # suppression wants a box
    chosen = tf.math.top_k(confidence, most).indices  # (B, K)
    decoded = tf.gather(decoded, chosen, batch_dims=1)
    rows = tf.gather(tf.reshape(raw, [batch, -1, depth]), chosen, batch_dims=1)
    scores = decoded[..., 4:] * tf.sigmoid(tf.cast(rows[..., 5:], tf.float32))
    return xywh_to_xyxy(decoded[..., :4]), tf.where(tf.math.is_nan(scores), 0.0, scores)
