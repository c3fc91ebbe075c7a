"""Augmentation: pure functions (image, boxes, random generator) -> (image, boxes).

Crop, scale and translate only choose a window on the image; it is cut out once and resized once,
by the letterbox. No function loses a box, cuts into one or rounds one.
"""

from typing import NamedTuple

import cv2
import numpy as np

from yolov3.images import GREY

LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue: ITU-R BT.601


class Augmentation(NamedTuple):
    """How strongly to augment; 0 turns a part off."""

    flip: float = 0.0  # probability of a mirror image, left to right; never for digits or text
    crop: float = 0.0  # largest fraction of the free margin around all boxes to cut away, per side
    scale: float = 0.0  # largest zoom-out: the window is up to 1 + scale times the image
    translate: float = 0.0  # largest shift, as a fraction of the window
    color: float = 0.0  # largest relative change of brightness, contrast and saturation


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
