"""Draw labelled boxes on an image."""

import colorsys
from collections.abc import Sequence
from functools import lru_cache
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

TEXT_SHARE = 1 / 30  # of the geometric mean of width and height
TEXT_RANGE = (11, 64)  # pixels: below it is illegible, above it hides the image
LINE_SHARE = 1 / 8  # of the text's height
PADDING_SHARE = 1 / 6  # of the text's height, around a label's text
GOLDEN_RATIO = 0.618034  # steps of it round the colour circle keep apart for any number of classes
TONES = ((0.9, 0.95), (1.0, 0.6), (0.6, 0.85))  # saturation and value, in turns
BRIGHT = 100  # luma of 255 above which a colour gets black text instead of white

Colour = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]  # first and last pixel: left, top, right, bottom


def draw_boxes(
    image_rgb: np.ndarray,
    boxes_xyxy: np.ndarray,
    classes: np.ndarray,
    names: Sequence[str],
    scores: np.ndarray | None = None,
) -> np.ndarray:
    """Return a copy of an image (H, W, 3) uint8 RGB with its boxes and their class names on it.

    Boxes (N, 4) are in pixels and may reach over the edge; `classes` (N,) index `names`; `scores`
    (N,) are printed behind the names, and boxes of a high score cover those of a low one. Labels
    stay inside the image and, where there is room, off one another.
    """
    drawn = np.array(image_rgb, order="C")
    size_wh = drawn.shape[1::-1]
    text_size = _text_size(*size_wh)
    rectangles = [_rectangle(box, size_wh) for box in boxes_xyxy]
    order = list(range(len(rectangles)) if scores is None else np.argsort(scores, kind="stable"))
    for index in order:
        line_width = max(1, round(text_size * LINE_SHARE))
        _outline(drawn, rectangles[index], class_colour(int(classes[index])), line_width)
    labels: list[tuple[Rectangle, np.ndarray]] = []
    for index in reversed(order):  # the best one chooses its label's place first
        text = names[int(classes[index])] + ("" if scores is None else f" {scores[index]:.2f}")
        label = _label(text, text_size, class_colour(int(classes[index])), size_wh[0])
        place = _place(
            label.shape[1::-1], rectangles[index], size_wh, [taken for taken, _ in labels]
        )
        labels.append((place, label))
    for (left, top, right, bottom), label in reversed(labels):  # and covers the others
        patch = drawn[top : bottom + 1, left : right + 1]
        patch[:] = label[: patch.shape[0], : patch.shape[1]]
    return drawn


@lru_cache
def class_colour(index: int) -> Colour:
    """Return the RGB colour of a class: strong, and far from those of its neighbours."""
    saturation, value = TONES[index % len(TONES)]
    red, green, blue = colorsys.hsv_to_rgb(index * GOLDEN_RATIO % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _text_size(width: int, height: int) -> int:
    low, high = TEXT_RANGE
    return round(min(max((width * height) ** 0.5 * TEXT_SHARE, low), high))


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Load DejaVu Sans, which comes with matplotlib: Pillow's own font has English letters only."""
    from matplotlib import get_data_path

    return ImageFont.truetype(str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)


def _rectangle(box_xyxy: np.ndarray, size_wh: tuple[int, int]) -> Rectangle:
    """Return the pixels of a box's edges, clipped to the image."""
    last = np.array(size_wh) - 1
    first_xy = np.clip(np.round(box_xyxy[:2]), 0, last)
    last_xy = np.clip(np.round(box_xyxy[2:]) - 1, first_xy, last)
    return tuple(np.concatenate([first_xy, last_xy]).astype(int).tolist())


def _padding(font) -> int:
    return max(1, round(font.size * PADDING_SHARE))


def _label_size(text: str, font) -> tuple[int, int]:
    """Return width and height in pixels of a label with its padding."""
    return ceil(font.getlength(text)) + 2 * _padding(font), sum(font.getmetrics())


def _shorten(text: str, font, width: int) -> str:
    """Cut text whose label is wider than the image."""
    shown = text
    while shown and _label_size(shown, font)[0] > width:
        text = text[:-1]
        shown = text + "..." if text else ""
    return shown


def _place(label_wh: tuple[int, int], box: Rectangle, size_wh: tuple[int, int], taken) -> Rectangle:
    """Choose above, below, or inside the box's top or bottom edge, moved into the image."""
    width, height = label_wh
    left = max(0, min(box[0], size_wh[0] - width))
    tops = (box[1] - height, box[3] + 1, box[1], box[3] + 1 - height)
    inside = [top for top in tops if 0 <= top <= size_wh[1] - height] or [0]
    places = [(left, top, left + width - 1, top + height - 1) for top in inside]
    free = (place for place in places if not any(_overlap(place, other) for other in taken))
    return next(free, places[0])


def _outline(image: np.ndarray, box: Rectangle, colour: Colour, width: int) -> None:
    """Paint the edges of a box, inside of it."""
    left, top, right, bottom = box
    inside = image[top : bottom + 1, left : right + 1]
    for edge in (inside[:width], inside[-width:], inside[:, :width], inside[:, -width:]):
        edge[:] = colour


@lru_cache(maxsize=512)  # the same ones come again in the next frames
def _label(text: str, text_size: int, colour: Colour, max_width: int) -> np.ndarray:
    """Return a label (h, w, 3) uint8, its text cut where it is wider than the image."""
    font = _font(text_size)
    text = _shorten(text, font, max_width)
    image = Image.new("RGB", _label_size(text, font), colour)
    red, green, blue = colour
    bright = 0.299 * red + 0.587 * green + 0.114 * blue > BRIGHT  # luma of Rec. 601
    ImageDraw.Draw(image).text((_padding(font), 0), text, "black" if bright else "white", font)
    return np.array(image)


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
