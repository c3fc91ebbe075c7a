"""The targets and losses of `yolov3/labels.py` and `yolov3/losses.py` in PyTorch."""

import torch
from torch.nn import functional as F

from yolov3.configs import ANCHORS_PER_SCALE

# As in yolov3/, whose modules would bring TensorFlow into this process.
MATCH_IOU, IGNORE_IOU, LABEL_SMOOTHING = 0.3, 0.5, 0.01
EPSILON, MAX_LOG_SIZE = 1e-7, 10.0


def assign_anchors(boxes_xyxy, classes, anchors, strides, num_classes, size):
    """Return the targets (B, G, G, A, 5 + C) of boxes (B, N, 4), padded with empty ones."""
    sizes = boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]
    centres = (boxes_xyxy[..., 2:] + boxes_xyxy[..., :2]) / 2
    anchors = torch.tensor(anchors, dtype=torch.float32)  # (S, A, 2)
    inter = torch.minimum(sizes[:, :, None, None], anchors).prod(-1)  # (B, N, S, A)
    union = sizes.prod(-1)[..., None, None] + anchors.prod(-1) - inter
    iou = inter / (union + EPSILON)
    best = iou >= iou.amax((2, 3), keepdim=True)
    priority = torch.where(best, iou + 1.0, torch.where(iou > MATCH_IOU, iou, 0.0))
    priority = priority * (sizes > 0).all(-1)[..., None, None]
    values = torch.cat(
        [centres, sizes, torch.ones_like(sizes[..., :1]), F.one_hot(classes, num_classes)], -1
    )
    return [
        _fill_grid(values, centres, priority[:, :, scale], stride, size // stride)
        for scale, stride in enumerate(strides)
    ]


def _fill_grid(values, centres, priority, stride, grid):
    batch, count, depth = values.shape
    cell = (centres / stride).long().clamp(0, grid - 1)  # (B, N, 2)
    slot = (torch.arange(batch)[:, None] * grid + cell[..., 1]) * grid + cell[..., 0]
    slot = (slot[..., None] * ANCHORS_PER_SCALE + torch.arange(ANCHORS_PER_SCALE)).flatten()
    slots = batch * grid * grid * ANCHORS_PER_SCALE
    priority = priority.flatten()
    claims = torch.zeros(slots).scatter_reduce(0, slot, priority, "amax")
    wins = (priority > 0) & (priority >= claims[slot])
    target = torch.zeros(slots, depth)
    target[slot[wins]] = values.flatten(0, 1).repeat_interleave(ANCHORS_PER_SCALE, 0)[wins]
    return target.view(batch, grid, grid, ANCHORS_PER_SCALE, depth)


def compute_loss(raw_maps, targets, boxes_xyxy, anchors, strides):
    """Return {"giou", "conf", "prob"}: summed over cells, anchors, scales, averaged over images."""
    scales = zip(raw_maps, targets, anchors, strides, strict=True)
    losses = [_scale_loss(*scale, boxes_xyxy) for scale in scales]
    batch = len(boxes_xyxy)
    return {name: sum(loss[name].sum() for loss in losses) / batch for name in losses[0]}


def _scale_loss(raw, target, anchors, stride, boxes_xyxy):
    predicted = decode(raw, torch.tensor(anchors, dtype=torch.float32), stride)
    has_object, size = target[..., 4], raw.shape[1] * stride
    with torch.no_grad():
        iou, *_ = _overlap(predicted[..., None, :], boxes_xyxy[:, None, None, None])
        background = (1 - has_object) * (iou.amax(-1) < IGNORE_IOU)
    weight = 2 - target[..., 2] * target[..., 3] / size**2
    focal = (has_object - raw[..., 4].sigmoid()).square()
    cross_entropy = F.binary_cross_entropy_with_logits
    confidence = cross_entropy(raw[..., 4], has_object, reduction="none")
    classes = target[..., 5:]
    smoothed = classes * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / classes.shape[-1]
    return {
        "giou": has_object * weight * (1 - giou(predicted, _to_xyxy(target[..., :4]))),
        "conf": focal * (has_object + background) * confidence,
        "prob": has_object[..., None] * cross_entropy(raw[..., 5:], smoothed, reduction="none"),
    }


def decode(raw, anchors, stride):
    """Return the boxes xyxy in pixels (B, G, G, A, 4) of a raw map."""
    rows, columns = raw.shape[1:3]
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    cells = torch.stack([x, y], -1)[:, :, None]  # (G, G, 1, 2)
    centre = (raw[..., 0:2].sigmoid() + cells) * stride
    size = raw[..., 2:4].clamp(-MAX_LOG_SIZE, MAX_LOG_SIZE).exp() * anchors
    return _to_xyxy(torch.cat([centre, size], -1))


def giou(boxes1_xyxy, boxes2_xyxy):
    """Return the generalised IoU of (..., 4) boxes: (...)."""
    iou, union = _overlap(boxes1_xyxy, boxes2_xyxy)
    top_left = torch.minimum(boxes1_xyxy[..., :2], boxes2_xyxy[..., :2])
    bottom_right = torch.maximum(boxes1_xyxy[..., 2:], boxes2_xyxy[..., 2:])
    enclosing = (bottom_right - top_left).prod(-1)
    return iou - (enclosing - union) / (enclosing + EPSILON)


def _overlap(boxes1_xyxy, boxes2_xyxy):
    """Return IoU and union."""
    top_left = torch.maximum(boxes1_xyxy[..., :2], boxes2_xyxy[..., :2])
    bottom_right = torch.minimum(boxes1_xyxy[..., 2:], boxes2_xyxy[..., 2:])
    width_height = (bottom_right - top_left).clamp(min=0)
    intersection = width_height[..., 0] * width_height[..., 1]
    union = _area(boxes1_xyxy) + _area(boxes2_xyxy) - intersection
    return intersection / (union + EPSILON), union


def _area(boxes_xyxy):
    return (boxes_xyxy[..., 2] - boxes_xyxy[..., 0]) * (boxes_xyxy[..., 3] - boxes_xyxy[..., 1])


def _to_xyxy(boxes_xywh):
    centre, size = boxes_xywh[..., :2], boxes_xywh[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], -1)
