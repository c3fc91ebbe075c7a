"""Box formats, IoU and GIoU, as training and detection use them.

Formats: `xyxy` is (x_min, y_min, x_max, y_max), `xywh` is (x_centre, y_centre, width, height).
"""

import tensorflow as tf

EPSILON = 1e-7  # keeps 0 / 0 of two empty boxes at 0; far below one square pixel


def xywh_to_xyxy(boxes_xywh: tf.Tensor) -> tf.Tensor:
    """Convert (..., 4) boxes from centre and size to corners, in the same unit."""
    centre, size = tf.split(boxes_xywh, 2, axis=-1)  # (..., 2) each
    return tf.concat([centre - size * 0.5, centre + size * 0.5], axis=-1)


def xyxy_to_xywh(boxes_xyxy: tf.Tensor) -> tf.Tensor:
    """Convert (..., 4) boxes from corners to centre and size, in the same unit."""
    top_left, bottom_right = _corners(boxes_xyxy)
    return tf.concat([(top_left + bottom_right) * 0.5, bottom_right - top_left], axis=-1)


def bbox_iou(boxes1_xyxy: tf.Tensor, boxes2_xyxy: tf.Tensor) -> tf.Tensor:
    """Return the intersection over union of (..., 4) boxes, broadcast against each other: (...).

    Two empty boxes have an IoU of 0, never NaN.
    """
    intersection, union = _intersection_and_union(boxes1_xyxy, boxes2_xyxy)
    return intersection / (union + EPSILON)


def bbox_giou(boxes1_xyxy: tf.Tensor, boxes2_xyxy: tf.Tensor) -> tf.Tensor:
    """Return the generalised IoU of (..., 4) boxes, broadcast against each other: (...).

    GIoU = IoU - (C - U) / C with U the area of the union and C that of the smallest enclosing box.
    It lies in (-1, 1] and, unlike IoU, falls as two disjoint boxes move apart, so it always has a
    gradient. Source: Rezatofighi et al. 2019, "Generalized Intersection over Union", section 3.
    """
    intersection, union = _intersection_and_union(boxes1_xyxy, boxes2_xyxy)
    top_left1, bottom_right1 = _corners(boxes1_xyxy)
    top_left2, bottom_right2 = _corners(boxes2_xyxy)
    top_left = tf.minimum(top_left1, top_left2)
    bottom_right = tf.maximum(bottom_right1, bottom_right2)
    enclosing = _product(bottom_right - top_left)
    return intersection / (union + EPSILON) - (enclosing - union) / (enclosing + EPSILON)


def shape_iou(sizes1_wh: tf.Tensor, sizes2_wh: tf.Tensor) -> tf.Tensor:
    """Return the IoU of (..., 2) sizes as if both boxes had the same centre: (...).

    It compares boxes with anchors, which have a shape but no place (darknet, src/yolo_layer.c).
    """
    intersection = tf.reduce_prod(tf.minimum(sizes1_wh, sizes2_wh), axis=-1)
    areas = tf.reduce_prod(sizes1_wh, axis=-1) + tf.reduce_prod(sizes2_wh, axis=-1)
    return intersection / (areas - intersection + EPSILON)


def _intersection_and_union(boxes1_xyxy, boxes2_xyxy):
    top_left1, bottom_right1 = _corners(boxes1_xyxy)
    top_left2, bottom_right2 = _corners(boxes2_xyxy)
    width_height = tf.minimum(bottom_right1, bottom_right2) - tf.maximum(top_left1, top_left2)
    intersection = _product(tf.maximum(width_height, 0.0))
    areas = _product(bottom_right1 - top_left1) + _product(bottom_right2 - top_left2)
    return intersection, areas - intersection


def _corners(boxes_xyxy):
    """Return the top left and bottom right corners: (..., 4) -> (..., 2) each.

    The gradient of a split is one concatenation, that of slices a padded copy for each.
    """
    return tf.split(boxes_xyxy, 2, axis=-1)


def _product(sizes_wh):
    """Return width times height: (..., 2) -> (...); the gradient of `reduce_prod` is costly."""
    width, height = tf.unstack(sizes_wh, axis=-1)
    return width * height
