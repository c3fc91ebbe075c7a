"""Augmentation: pure functions of samples, settings and a random generator.

A sample is (image_rgb uint8 (H, W, 3), boxes_xyxy (N, 4) in its pixels, classes (N,)). Whatever a
window shows of an image is cut out once and resized once; a rotation samples it once more. Boxes
follow the pixels and are never rounded. A box that is cut is clipped, and left out if too little of
it is in view.
"""

from typing import NamedTuple

import cv2
import numpy as np

from yolov3.configs import Config
from yolov3.images import GREY, boxes_to_letterbox, letterbox, letterbox_params, resize

# Brightness and two axes of colour, in terms of red, green and blue: NTSC's YIQ.
YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
MOSAIC = 4  # images
MOSAIC_CENTRES = (0.4, 0.6)  # where the tiles meet; large objects need large tiles
WINDOWS_TRIED = 20  # for each tile; more are more crowded
MIXUP_BETA = 32.0  # of both weights, which are nearly equal then: all labels count
ROUNDING = 1e-6


class Augmentation(NamedTuple):
    """How strongly to augment; 0 turns a part off."""

    flip: float = 0.0  # probability of a mirror image, left to right; never for digits or text
    scale: float = 0.0  # largest zoom, in or out: by up to 1 + scale
    translate: float = 0.0  # largest shift, as a fraction of the window
    rotate: float = 0.0  # largest angle in degrees
    hue: float = 0.0  # largest turn of the colours, as a fraction of their circle
    saturation: float = 0.0  # largest relative change, as of the next two
    value: float = 0.0  # brightness
    contrast: float = 0.0
    mosaic: float = 0.0  # probability of a mosaic
    mixup: float = 0.0  # probability that another sample shines through
    min_area: float = 0.5  # smallest fraction of a box's area in view for it to be kept
    sizes: tuple[float, ...] = (1.0,)  # fractions of the input size, one of them for each batch

    @classmethod
    def of(cls, config: Config) -> "Augmentation":
        """Return what the settings named `augment_` say."""
        return cls(*(getattr(config, f"augment_{name}") for name in cls._fields))


def training_sample(sample, other, input_size: int, full_size: float, settings, rng):
    """Return what a sample becomes in training: an image (input_size, input_size, 3).

    `other(rng)` returns another sample at random, for mosaic and mixup. Mosaics have the scale of
    an input of `full_size`, everything else that of `input_size`.
    """

    def whole_or_mosaic(first):
        if rng.random() < settings.mosaic:
            samples = [first, *(other(rng) for _ in range(MOSAIC - 1))]
            return mosaic(samples, input_size, full_size, settings, rng)
        return augment(first, input_size, settings, rng)

    made = whole_or_mosaic(sample)
    if rng.random() < settings.mixup:
        made = mixup(made, whole_or_mosaic(other(rng)), rng)
    return made


def augment(sample, input_size: int, settings: Augmentation, rng: np.random.Generator):
    """Letterbox a sample, or show a random window of it, with other colours, maybe mirrored.

    A window that is smaller than the image has a random object in it; one that is larger has all of
    the image, unless it is shifted.
    """
    image_rgb, boxes_xyxy, classes = sample
    image_hw = np.array(image_rgb.shape[:2])
    if settings.scale or settings.translate or settings.rotate:
        window_wh = np.full(2, image_hw.max() / _random_zoom(settings, rng))
        window = object_window(image_hw, boxes_xyxy, window_wh, rng)
        shift = np.rint(rng.uniform(-1, 1, 2) * settings.translate * window_wh)
        shift = np.clip(shift, 1 - window[2:], image_hw[::-1] - 1 - window[:2])  # some is in view
        window += np.tile(shift, 2).astype(int)
        return view(sample, window, (input_size, input_size), settings, rng)
    fit = letterbox_params(image_hw, (input_size, input_size))
    image_rgb = letterbox(jitter_color(image_rgb, settings, rng), (input_size, input_size))
    boxes_xyxy = boxes_to_letterbox(boxes_xyxy, fit)
    return *flip(image_rgb, boxes_xyxy, settings, rng), classes


def mosaic(samples, input_size: int, full_size: float, settings: Augmentation, rng):
    """Fill an input with windows of four samples, chosen near objects; return one sample.

    The tiles meet at a random point. Each has the scale that the letterbox of `full_size` pixels
    would give its image, times a random zoom: objects are as large as detection will see them.
    Source: Bochkovskiy et al. 2020, "YOLOv4", section 3.3; there the images are whole.
    """
    canvas = np.empty((input_size, input_size, 3), np.uint8)
    least, most = (round(part * input_size) for part in MOSAIC_CENTRES)
    centre = rng.integers(least, most, 2, endpoint=True)
    edges = np.array([[0, 0], centre, [input_size, input_size]])  # (3, 2): x and y
    parts = []
    for place, sample in enumerate(samples):
        cell = np.array([place % 2, place // 2])  # column and row
        corner, end = edges[cell, [0, 1]], edges[cell + 1, [0, 1]]
        image_hw = sample[0].shape[:2]
        scale = full_size / max(image_hw) * _random_zoom(settings, rng)
        window_wh = (end - corner) / scale
        window = object_window(image_hw, sample[1], window_wh, rng, tries=WINDOWS_TRIED)
        tile, boxes_xyxy, classes = view(sample, window, end - corner, settings, rng)
        canvas[corner[1] : end[1], corner[0] : end[0]] = tile
        parts.append((boxes_xyxy + np.tile(corner, 2).astype(np.float32), classes))
    return canvas, *(np.concatenate(part) for part in zip(*parts, strict=True))


def mixup(first, second, rng):
    """Blend two samples of one size; all their boxes count.

    Source: Zhang et al. 2019, "Bag of Freebies for Training Object Detection", section 3.1.
    """
    weight = rng.beta(MIXUP_BETA, MIXUP_BETA)
    image_rgb = cv2.addWeighted(first[0], weight, second[0], 1 - weight, 0)
    return image_rgb, *(np.concatenate(pair) for pair in zip(first[1:], second[1:], strict=True))


def object_window(image_hw, boxes_xyxy, window_wh, rng, tries=1) -> np.ndarray:
    """Choose a window of about (width, height) near an object: (4,) xyxy in whole pixels.

    Of so many windows, each with a random object whole if it fits, it is the one that cuts the
    fewest boxes, and among those the one with the most whole boxes. A window that is larger than
    the image contains it.
    """
    image_wh, window_wh = np.array(image_hw)[::-1], np.maximum(np.rint(window_wh), 1).astype(int)
    slack = image_wh - window_wh
    objects = boxes_xyxy if len(boxes_xyxy) else np.array([[0, 0, *image_wh]])
    objects = objects[rng.integers(len(objects), size=tries)]  # (K, 4)
    corners = [np.ceil(objects[:, 2:] - window_wh), np.floor(objects[:, :2])]
    corners = np.clip(np.sort(corners, axis=0), np.minimum(slack, 0), np.maximum(slack, 0))
    corners = rng.integers(*corners.astype(int), endpoint=True)  # (K, 2)
    windows = np.concatenate([corners, corners + window_wh], axis=1)
    shares = visible_shares(boxes_xyxy, windows)  # (K, N)
    num_whole = (shares == 1).sum(axis=1)  # (K,)
    num_cut = ((shares > 0) & (shares < 1)).sum(axis=1)
    best_first = np.lexsort([-num_whole, num_cut])  # by the last key, then by the first
    return windows[best_first[0]]


def visible_shares(boxes_xyxy, windows_xyxy) -> np.ndarray:
    """Return the fraction of the area of each of N boxes that each of K windows shows: (K, N)."""
    boxes_xyxy = boxes_xyxy.astype(float)  # so that a whole box has exactly 1
    windows_xyxy = np.asarray(windows_xyxy)[:, None]  # (K, 1, 4)
    ends = np.minimum(boxes_xyxy[:, 2:], windows_xyxy[..., 2:])  # (K, N, 2)
    sides = ends - np.maximum(boxes_xyxy[:, :2], windows_xyxy[..., :2])
    return (np.maximum(sides, 0) / (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2])).prod(axis=-1)


def view(sample, window_xyxy, size_wh, settings: Augmentation, rng):
    """Return what a window shows of a sample, at a size (width, height), as a sample.

    It is turned about its middle, changed in colour and mirrored at random, grey beyond the image.
    """
    image_rgb, boxes_xyxy, classes = sample
    size_wh, window_wh = np.array(size_wh), window_xyxy[2:] - window_xyxy[:2]
    angle = np.radians(settings.rotate) * rng.uniform(-1, 1)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    beyond = np.maximum(np.ceil((np.abs(rotation) @ window_wh - window_wh) / 2), 0).astype(int)
    window_xyxy = window_xyxy + np.concatenate([-beyond, beyond])  # what turns into view as well
    image_rgb = cut(image_rgb, window_xyxy, settings, rng)
    cut_wh = window_wh + 2 * beyond
    resized_wh = np.rint(cut_wh * size_wh / window_wh).astype(int)
    image_rgb = resize(image_rgb, resized_wh.tolist())
    boxes_xyxy = (boxes_xyxy - np.tile(window_xyxy[:2], 2)) * np.tile(resized_wh / cut_wh, 2)
    if angle:
        image_rgb, boxes_xyxy = rotate(image_rgb, boxes_xyxy, rotation, size_wh)
    shares = visible_shares(boxes_xyxy, [[0, 0, *size_wh]])[0]
    kept = shares >= settings.min_area * (1 - ROUNDING)
    boxes_xyxy = np.clip(boxes_xyxy[kept], 0, np.tile(size_wh, 2)).astype(np.float32)
    return *flip(image_rgb, boxes_xyxy, settings, rng), classes[kept]


def cut(image_rgb, window_xyxy, settings: Augmentation, rng):
    """Cut a window out of an image in other colours, grey where it reaches beyond."""
    left, top, right, bottom = (int(edge) for edge in window_xyxy)
    height, width = image_rgb.shape[:2]
    inside = image_rgb[max(top, 0) : bottom, max(left, 0) : right]
    inside = jitter_color(inside, settings, rng)
    margins = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
    if any(margins):
        inside = cv2.copyMakeBorder(inside, *margins, cv2.BORDER_CONSTANT, value=(GREY,) * 3)
    return inside


def rotate(image_rgb, boxes_xyxy, rotation, size_wh):
    """Turn an image and its boxes by a matrix (2, 2), and cut out its middle (width, height).

    A box becomes the one around the turned ellipse that filled it: the one around its turned
    corners would be too large for most objects. Source: Kalra et al. 2021, "Towards Rotation
    Invariance in Object Detection", section 3.
    """
    shift = size_wh / 2 - rotation @ (np.array(image_rgb.shape[1::-1]) / 2)
    of_pixels = shift + rotation @ [0.5, 0.5] - 0.5  # OpenCV counts from the middle of the first
    matrix = np.column_stack([rotation, of_pixels])
    grey = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": (GREY,) * 3}
    image_rgb = cv2.warpAffine(image_rgb, matrix, size_wh.tolist(), **grey)
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2 @ rotation.T + shift
    halves = np.sqrt(((boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) / 2) ** 2 @ (rotation**2).T)
    return image_rgb, np.concatenate([centres - halves, centres + halves], axis=1)


def flip(image_rgb, boxes_xyxy, settings: Augmentation, rng):
    """Mirror an image and its boxes left to right, with a probability."""
    if rng.random() >= settings.flip:
        return image_rgb, boxes_xyxy
    left, top, right, bottom = boxes_xyxy.T
    width = image_rgb.shape[1]
    return cv2.flip(image_rgb, 1), np.stack([width - right, top, width - left, bottom], axis=1)


def jitter_color(image_rgb, settings: Augmentation, rng):
    """Change hue, saturation, value and contrast at random, each up to its strength."""
    strengths = settings.hue, settings.saturation, settings.value, settings.contrast
    hue, saturation, value, contrast = rng.uniform(-1, 1, 4) * strengths
    if not any(strengths):
        return image_rgb
    cos, sin = np.cos(2 * np.pi * hue), np.sin(2 * np.pi * hue)
    change = np.eye(3)
    change[1:, 1:] = (1 + saturation) * np.array([[cos, -sin], [sin, cos]])
    change *= (1 + value) * (1 + contrast)
    mean = (1 + value) * YIQ[0] @ cv2.mean(image_rgb)[:3] if contrast else 0.0
    mix = np.linalg.inv(YIQ) @ change @ YIQ  # (3, 3): RGB to RGB
    shift = np.full(3, -contrast * mean)
    return cv2.transform(image_rgb, np.column_stack([mix, shift]))  # rounds, and stops at 0 and 255


def _random_zoom(settings: Augmentation, rng) -> float:
    return (1 + settings.scale) ** rng.uniform(-1, 1)
