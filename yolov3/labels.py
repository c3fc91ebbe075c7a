"""Anchor assignment: true boxes -> one target tensor per scale."""

import tensorflow as tf

from yolov3.boxes import shape_iou, xyxy_to_xywh

# Every anchor that overlaps a box by more than this learns it, and always the best one.
MATCH_IOU = 0.3
BEST_ANCHOR_BONUS = 1.0  # puts a box's best anchor above every IoU in the contest for a cell


def trim_padding(boxes_xyxy, classes):
    """Cut boxes (B, N, 4) and classes (B, N) to what the fullest image of the batch needs.

    Padding, zeros, comes last. N is the most of any image of the data set, and the loss compares
    every prediction with N boxes.
    """
    is_box = tf.reduce_any(boxes_xyxy != 0, axis=-1)  # (B, N)
    places = tf.where(is_box, tf.range(1, tf.shape(is_box)[1] + 1), 0)  # (B, N), counted from 1
    most = tf.maximum(tf.reduce_max(places), 1)
    return boxes_xyxy[:, :most], classes[:, :most]


def assign_anchors(boxes_xyxy, classes, anchors, strides, grid_sizes, num_classes):
    """Return one target tensor (B, G, G, A, 5 + C) per scale.

    It holds x, y, w, h in pixels, 1, one-hot class. `boxes_xyxy` is (B, N, 4) in pixels of the
    input and `classes` (B, N) int, padded with boxes of size zero; `anchors` is (S, A, 2) in
    pixels, `strides` (S,) and `grid_sizes` S pairs of rows and columns. A box is learned in the
    cell of its centre, by the anchor of the best shape IoU over all scales and by all others above
    `MATCH_IOU`. Where two boxes claim the same cell and anchor, a best anchor goes before a merely
    good one, then the higher IoU wins, then the earlier box; nothing is left to chance. Cells
    without an object are all zero.
    """
    anchors = tf.cast(anchors, tf.float32)
    boxes_xywh = xyxy_to_xywh(tf.cast(boxes_xyxy, tf.float32))
    priorities = _priorities(boxes_xywh, anchors)  # (B, N, S, A)
    one_hot = tf.one_hot(classes, num_classes)  # (B, N, C)
    is_object = tf.ones_like(boxes_xywh[..., :1])
    values = tf.concat([boxes_xywh, is_object, one_hot], axis=-1)  # (B, N, 5 + C)
    return [
        _fill_grid(values, priorities[:, :, scale], stride, grid_sizes[scale])
        for scale, stride in enumerate(strides)
    ]


def _priorities(boxes_xywh, anchors):
    """Return how strongly each box claims each anchor, 0 for not at all: (B, N, S, A)."""
    sizes_wh = boxes_xywh[..., tf.newaxis, tf.newaxis, 2:]  # (B, N, 1, 1, 2)
    iou = shape_iou(sizes_wh, anchors)  # (B, N, S, A)
    best = iou >= tf.reduce_max(iou, axis=[2, 3], keepdims=True)
    priority = tf.where(best, iou + BEST_ANCHOR_BONUS, tf.where(iou > MATCH_IOU, iou, 0.0))
    is_box = tf.reduce_all(sizes_wh > 0, axis=-1)  # (B, N, 1, 1), False for padding
    return tf.where(is_box, priority, 0.0)


def _fill_grid(values, priority, stride, grid_size):
    """Write each box (B, N, 5 + C) to the cells and anchors (B, N, A) of a scale which it wins."""
    batch, count, depth = tf.unstack(tf.shape(values))
    num_anchors = priority.shape[-1]
    rows, columns = grid_size
    num_slots = batch * rows * columns * num_anchors
    cell_x = tf.clip_by_value(tf.cast(values[..., 0] / stride, tf.int32), 0, columns - 1)  # (B, N)
    cell_y = tf.clip_by_value(tf.cast(values[..., 1] / stride, tf.int32), 0, rows - 1)
    image = tf.range(batch)[:, tf.newaxis]  # (B, 1)
    cell = (image * rows + cell_y) * columns + cell_x  # (B, N)
    slot = cell[..., tf.newaxis] * num_anchors + tf.range(num_anchors)  # (B, N, A)
    slot = tf.reshape(slot, [-1, 1])  # (B * N * A, 1)
    priority = tf.reshape(priority, [-1])  # (B * N * A,)
    highest = tf.tensor_scatter_nd_max(tf.zeros([num_slots]), slot, priority)
    wins = (priority > 0) & (priority >= tf.gather_nd(highest, slot))
    box = tf.repeat(tf.range(batch * count), num_anchors)  # (B * N * A,), in `values` as (B * N)
    earliest = tf.fill([num_slots], batch * count)
    earliest = tf.tensor_scatter_nd_min(earliest, slot[wins], box[wins])
    wins &= box == tf.gather_nd(earliest, slot)
    values = tf.gather(tf.reshape(values, [-1, depth]), box[wins])  # (winners, 5 + C)
    grid = tf.scatter_nd(slot[wins], values, [num_slots, depth])
    return tf.reshape(grid, [batch, rows, columns, num_anchors, depth])  # (B, G, G, A, 5 + C)
