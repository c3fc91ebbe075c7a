"""Augmentation: pure functions (image, boxes, random generator) -> (image, boxes).

Crop, scale and translate only choose a window on the image; it is cut out once and resized once,
by the letterbox. No function rounds a box, and only a mosaic loses one or cuts into it.
"""

from typing import NamedTuple

import cv2
import numpy as np

from yolov3.images import GREY, resize

LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue: ITU-R BT.601
MOSAIC = 4  # images
MOSAIC_CENTRES = (0.4, 0.6)  # where the tiles meet; large objects need large tiles
WINDOWS_TRIED = 20  # for each tile; more are more crowded


class Augmentation(NamedTuple):
    """How strongly to augment; 0 turns a part off."""

    flip: float = 0.0  # probability of a mirror image, left to right; never for digits or text
    crop: float = 0.0  # largest fraction of the free margin around all boxes to cut away, per side
    scale: float = 0.0  # largest zoom-out: the window is up to 1 + scale times the image
    translate: float = 0.0  # largest shift, as a fraction of the window
    color: float = 0.0  # largest relative change of brightness, contrast and saturation
    mosaic: float = 0.0  # probability of a mosaic
    min_area: float = 0.5  # smallest fraction of a box's area, of which the mosaic shows the rest


def augment(image_rgb, boxes_xyxy, settings: Augmentation, rng: np.random.Generator):
    """Return a changed copy of an RGB uint8 (H, W, 3) image and its (N, 4) boxes in pixels.

    Crop, zoom and shift choose a window; then colours change, the window is cut out, and flipped.
    """
    window_xyxy = random_window(image_rgb.shape[:2], boxes_xyxy, settings, rng)
    is_flipped = rng.random() < settings.flip
    if settings.color > 0:  # before the cut, whose padding is the grey of the letterbox
        image_rgb = jitter_color(image_rgb, settings.color, rng)
    image_rgb, boxes_xyxy = crop_window(image_rgb, boxes_xyxy, window_xyxy)
    if is_flipped:
        image_rgb, boxes_xyxy = flip(image_rgb, boxes_xyxy)
    return image_rgb, boxes_xyxy


def random_window(image_hw, boxes_xyxy, settings: Augmentation, rng) -> np.ndarray:
    """Choose a window of the image that contains all boxes: (4,) xyxy in whole pixels.

    It may reach beyond the image. Without boxes any part of at least half the size may be chosen.
    """
    height, width = image_hw
    size_xyxy = np.array([width, height, width, height])
    full = np.array([0, 0, width, height], float)
    if len(boxes_xyxy):
        keep = np.concatenate([boxes_xyxy[:, :2].min(axis=0), boxes_xyxy[:, 2:].max(axis=0)])
    else:
        keep = size_xyxy * [0.25, 0.25, 0.75, 0.75]
    window = full + rng.uniform(0, settings.crop, 4) * (keep - full) * (settings.crop > 0)
    zoom_out = rng.uniform(0, settings.scale) / 2
    window += zoom_out * size_xyxy * [-1, -1, 1, 1]
    shift = rng.uniform(-settings.translate, settings.translate, 2) * (window[2:] - window[:2])
    shift = np.clip(
        shift, np.minimum(keep[2:] - window[2:], 0), np.maximum(keep[:2] - window[:2], 0)
    )
    window += np.tile(shift, 2)
    return np.concatenate([np.floor(window[:2]), np.ceil(window[2:])]).astype(int)


def crop_window(image_rgb, boxes_xyxy, window_xyxy):
    """Cut a window out of an image, grey where it reaches beyond, and move the boxes with it."""
    left, top, right, bottom = (int(edge) for edge in window_xyxy)
    height, width = image_rgb.shape[:2]
    inside = image_rgb[max(top, 0) : bottom, max(left, 0) : right]
    margins = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    if any(margins):
        inside = cv2.copyMakeBorder(inside, *margins, cv2.BORDER_CONSTANT, value=(GREY,) * 3)
    return inside, (boxes_xyxy - [left, top, left, top]).astype(np.float32)


def flip(image_rgb, boxes_xyxy):
    """Mirror an image and its boxes left to right."""
    width = image_rgb.shape[1]
    left, top, right, bottom = boxes_xyxy.T
    return cv2.flip(image_rgb, 1), np.stack([width - right, top, width - left, bottom], axis=1)


def jitter_color(image_rgb, strength: float, rng):
    """Change brightness, contrast and saturation each by a random factor in 1 +- strength."""
    brightness, contrast, saturation = 1.0 + rng.uniform(-strength, strength, 3)
    mean = LUMA @ cv2.mean(image_rgb)[:3]
    mix = contrast * (saturation * np.eye(3) + (1.0 - saturation) * LUMA)  # (3, 3): RGB to RGB
    shift = np.full(3, mean * (brightness - contrast))
    return cv2.transform(image_rgb, np.column_stack([mix, shift]))  # rounds, and stops at 0 and 255


def mosaic(samples, canvas_size: int, input_size: int, settings: Augmentation, rng):
    """Fill a square canvas with windows of four images, as large as detection would see them.

    `samples` are four (image_rgb, boxes_xyxy (N, 4), classes (N,)); returns one of the same kind,
    `canvas_size` pixels wide. The tiles meet at a random point. Each has the scale that the
    letterbox of `input_size` pixels would give its image, times a random zoom, and may be flipped.
    Source: Bochkovskiy et al. 2020, "YOLOv4", section 3.3; there the images are whole.
    """
    canvas = np.empty((canvas_size, canvas_size, 3), np.uint8)
    least, most = (round(part * canvas_size) for part in MOSAIC_CENTRES)
    x, y = (int(one) for one in rng.integers(least, most, 2, endpoint=True))
    tiles = [(0, 0), (x, y)], [(x, 0), (canvas_size, y)], [(0, y), (x, canvas_size)]
    tiles = np.array([*tiles, [(x, y), (canvas_size, canvas_size)]])  # (4, 2, 2): corners
    parts = []
    for (image_rgb, boxes_xyxy, classes), (corner, end) in zip(samples, tiles, strict=True):
        scale = input_size / max(image_rgb.shape[:2]) / (1 + rng.uniform(0, settings.scale))
        window = object_window(image_rgb.shape[:2], boxes_xyxy, (end - corner) / scale, rng)
        if settings.color > 0:
            image_rgb = jitter_color(image_rgb, settings.color, rng)
        tile, boxes_xyxy, kept = view(image_rgb, boxes_xyxy, window, end - corner, settings)
        if rng.random() < settings.flip:
            tile, boxes_xyxy = flip(tile, boxes_xyxy)
        canvas[corner[1] : end[1], corner[0] : end[0]] = tile
        parts.append((boxes_xyxy + np.tile(corner, 2), classes[kept]))
    boxes_xyxy, classes = (np.concatenate(part) for part in zip(*parts, strict=True))
    return canvas, boxes_xyxy.astype(np.float32), classes


def object_window(image_hw, boxes_xyxy, window_wh, rng) -> np.ndarray:
    """Choose a window of about (width, height) near an object: (4,) xyxy in whole pixels.

    Of some windows, each with a random object whole if it fits, it is the one that cuts the fewest
    boxes, and among those the one with the most whole boxes. A window that is larger than the image
    contains it.
    """
    image_wh, window_wh = np.array(image_hw)[::-1], np.maximum(np.rint(window_wh), 1).astype(int)
    slack = image_wh - window_wh
    objects = boxes_xyxy if len(boxes_xyxy) else np.array([[0, 0, *image_wh]])
    objects = objects[rng.integers(len(objects), size=WINDOWS_TRIED)]  # (K, 4)
    corners = [np.ceil(objects[:, 2:] - window_wh), np.floor(objects[:, :2])]
    corners = np.clip(np.sort(corners, axis=0), np.minimum(slack, 0), np.maximum(slack, 0))
    corners = rng.integers(*corners.astype(int), endpoint=True)  # (K, 2)
    windows = np.concatenate([corners, corners + window_wh], axis=1)
    shares = visible_shares(boxes_xyxy, windows)  # (K, N)
    are_whole, are_cut = shares == 1, (shares > 0) & (shares < 1)
    return windows[np.lexsort([-are_whole.sum(axis=1), are_cut.sum(axis=1)])[0]]


def visible_shares(boxes_xyxy, windows_xyxy) -> np.ndarray:
    """Return the fraction of the area of each of N boxes that each of K windows shows: (K, N)."""
    boxes_xyxy = boxes_xyxy.astype(float)  # so that a whole box has exactly 1
    windows_xyxy = np.asarray(windows_xyxy)[:, None]  # (K, 1, 4)
    ends = np.minimum(boxes_xyxy[:, 2:], windows_xyxy[..., 2:])  # (K, N, 2)
    sides = ends - np.maximum(boxes_xyxy[:, :2], windows_xyxy[..., :2])
    return (np.maximum(sides, 0) / (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2])).prod(axis=-1)


def view(image_rgb, boxes_xyxy, window_xyxy, size_wh, settings: Augmentation):
    """Return a window of an image at a size (width, height), its boxes, and which are kept (N,).

    Boxes are clipped; those of which the window shows less than `min_area` are left out.
    """
    kept = visible_shares(boxes_xyxy, [window_xyxy])[0] >= settings.min_area
    image_rgb, boxes_xyxy = crop_window(image_rgb, boxes_xyxy[kept], window_xyxy)
    window_wh = image_rgb.shape[1::-1]
    boxes_xyxy = np.clip(boxes_xyxy, 0, np.tile(window_wh, 2)) * np.tile(size_wh / window_wh, 2)
    return resize(image_rgb, [int(side) for side in size_wh]), boxes_xyxy, kept
