"""Draw labelled boxes on an image."""

import colorsys
from collections.abc import Sequence
from functools import lru_cache
from math import ceil

import numpy as np
from PIL import Image, ImageDraw

from yolov3.images import read_image, resize
from yolov3.nms import one_label
from yolov3.text import Lettering, default_font, in_font, load_font

TEXT_SHARE = 1 / 30  # of the geometric mean of width and height
TEXT_RANGE = (11, 64)  # pixels: below it is hard to read, above it hides the image
DENSE_TEXT_SHARE = 1 / 6  # of the side of the square that an object has to itself on average
SMALLEST_TEXT = 9  # pixels, where objects are dense
SMALLER_SHARE = 0.6  # of the text's height, where there is no room for it
COVERED = 1 / 5  # of a box by labels, at most
LINE_SHARE = 1 / 8  # of the text's height
LINE_PER_SIDE = 1 / 6  # of a box's shorter side, at most
PADDING_SHARE = 1 / 6  # of the text's height, around a label's text
GOLDEN_RATIO = 0.618034  # steps of it round the colour circle keep apart for any number of classes
TONES = ((0.9, 0.95), (1.0, 0.6), (0.6, 0.85))  # saturation and value, in turns
BRIGHT = 100  # luma of 255 above which a colour gets black text instead of white

PAIR_SIDE = 640  # pixels of the longer side of an image beside its copy
GAP = 8  # pixels between them
FRAME, FRAME_GREY = ((3, 3), (3, 3), (0, 0)), 160  # around each: its paper may be white

Colour = tuple[int, int, int]


def draw_boxes(
    image_rgb: np.ndarray, boxes_xyxy: np.ndarray, classes, names: Sequence[str], scores=None
) -> np.ndarray:
    """Return a copy of an image (H, W, 3) uint8 RGB with its boxes and their class names on it.

    Boxes (N, 4) are in pixels and may reach over the edge; `classes` (N,) index `names`; `scores`
    (N,) are printed behind the names, and boxes of a high score cover those of a low one. A name
    whose letters no font here has is drawn as its number: class 3.

    Labels stay inside the image, off one another, and cover at most a fifth of any box, unless it
    is the only one. So where objects are dense, letters get smaller, then scores are left out, then
    labels, those of low scores first.
    """
    drawn = np.array(image_rgb, order="C")
    size_wh = drawn.shape[1::-1]
    boxes = _pixels(boxes_xyxy, size_wh)
    text_size = _text_size(size_wh, len(boxes))
    order = list(range(len(boxes)) if scores is None else np.argsort(scores, kind="stable"))
    for index in order:
        _outline(drawn, boxes[index], class_colour(int(classes[index])), text_size * LINE_SHARE)
    space = _Space(boxes)
    for index in reversed(order):  # the best one chooses its label's place first
        number = int(classes[index])
        score = "" if scores is None else f" {scores[index]:.2f}"
        for lettering, size in _forms(number, names[number], score, text_size, size_wh[0]):
            places = _places(_label_size(lettering, size), boxes[index].tolist(), size_wh)
            if (place := space.take(places)) is not None:
                left, top, right, bottom = place
                drawn[top:bottom, left:right] = _label(lettering, size, class_colour(number))
                break
    return drawn


def draw_pair(image_rgb: np.ndarray, record, detections, names: Sequence[str]) -> np.ndarray:
    """Draw an image with its true boxes, and beside it with its detections, in frames.

    `record` has the true `boxes_xyxy` and `classes`; `detections` are boxes_xyxy, scores, classes.
    The longer side of the image is at most `PAIR_SIDE` pixels.
    """
    scale = min(1, PAIR_SIDE / max(image_rgb.shape[:2]))
    size_wh = [max(1, round(side * scale)) for side in image_rgb.shape[1::-1]]
    image_rgb = resize(image_rgb, size_wh)
    boxes_xyxy, scores, classes = detections
    truth = draw_boxes(image_rgb, record.boxes_xyxy * scale, record.classes, names)
    found = draw_boxes(image_rgb, boxes_xyxy * scale, classes, names, scores)
    framed = [np.pad(one, FRAME, constant_values=FRAME_GREY) for one in (truth, found)]
    return np.hstack([framed[0], np.full((len(framed[0]), GAP, 3), 255, np.uint8), framed[1]])


def draw_comparison(record, detections, threshold: float, names: Sequence[str]) -> np.ndarray:
    """Draw the pair of a record's image, with what a `Detector` shows above a score threshold.

    `detections` may hold several labels of an object. Raises ImageFileError.
    """
    shown = one_label(*detections) & (detections[1] >= threshold)
    found = [part[shown] for part in detections]
    return draw_pair(read_image(record.image_path), record, found, names)


class _Space:
    """Rectangles, and how many pixels of each labels may cover yet: none of another label."""

    def __init__(self, boxes: np.ndarray):
        self._taken = boxes
        area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
        # A small image of one object is its box.
        self._free = area * COVERED if len(boxes) > 1 else area

    def take(self, places: np.ndarray) -> np.ndarray | None:
        """Take and return the first of places (P, 4) that is free, None where none is."""
        covered = _shared_pixels(places, self._taken)  # (P, N)
        is_free = (covered <= self._free).all(axis=1)
        if not is_free.any():
            return None
        first = is_free.argmax()
        self._taken = np.append(self._taken, places[first : first + 1], axis=0)
        self._free = np.append(self._free - covered[first], 0)
        return places[first]


@lru_cache
def class_colour(index: int) -> Colour:
    """Return the RGB colour of a class: strong, and far from those of its neighbours."""
    saturation, value = TONES[index % len(TONES)]
    red, green, blue = colorsys.hsv_to_rgb(index * GOLDEN_RATIO % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _text_size(size_wh: tuple[int, int], objects: int) -> int:
    side, (low, high) = (size_wh[0] * size_wh[1]) ** 0.5, TEXT_RANGE
    dense = max(side / max(objects, 1) ** 0.5 * DENSE_TEXT_SHARE, SMALLEST_TEXT)
    return round(min(max(side * TEXT_SHARE, low), high, dense))


def _pixels(boxes_xyxy: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """Return boxes (N, 4) in whole pixels, clipped to the image; none of them is empty."""
    boxes_xyxy = np.round(np.reshape(boxes_xyxy, (-1, 4)))
    first = np.clip(boxes_xyxy[:, :2], 0, np.array(size_wh) - 1)
    last = np.clip(boxes_xyxy[:, 2:], first + 1, size_wh)
    return np.concatenate([first, last], axis=1).astype(int)


def _outline(image: np.ndarray, box: np.ndarray, colour: Colour, width: float) -> None:
    """Paint the edges of a box, inside of it, in lines that leave a small object to be seen."""
    left, top, right, bottom = box
    inside = image[top:bottom, left:right]
    width = max(1, round(min(width, min(inside.shape[:2]) * LINE_PER_SIDE)))
    for edge in (inside[:width], inside[-width:], inside[:, :width], inside[:, -width:]):
        edge[:] = colour


def _forms(number: int, name: str, score: str, size: int, max_width: int) -> list[tuple]:
    """Return (text in its font, size) of the forms of a label, the best first.

    None is wider than the image.
    """
    smaller = min(size, max(round(size * SMALLER_SHARE), SMALLEST_TEXT))
    as_number = (f"class {number}", default_font())
    lettering = in_font(name) or as_number
    while len(name) > 1 and (width := _label_size(lettering, smaller)[0]) > max_width:
        name = f"{name[: int((len(name) - 1) * max_width / width)]}…"
        lettering = in_font(name) or as_number
    text, file = lettering
    return [((text + score, file), size), ((text + score, file), smaller), (lettering, smaller)]


def _places(label_wh: tuple[int, int], box: list[int], size_wh: tuple[int, int]) -> np.ndarray:
    """Return places (P, 4) for a label: above, below, inside the top and bottom edge of a box.

    They begin with the box or else end with it, and are moved into the image.
    """
    (width, height), (left, top, right, bottom) = label_wh, box
    lefts = [max(0, min(x, size_wh[0] - width)) for x in (left, right - width)]
    tops = (top - height, bottom, top, bottom - height)
    inside = [y for y in tops if 0 <= y <= size_wh[1] - height and width <= size_wh[0]]
    places = [(x, y, x + width, y + height) for x in lefts for y in inside]
    return np.array(places, int).reshape(-1, 4)


def _shared_pixels(places: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Return the area (P, N) that places (P, 4) share with rectangles (N, 4)."""
    left, top, right, bottom = places.T[..., np.newaxis]
    width = np.minimum(right, taken[:, 2]) - np.maximum(left, taken[:, 0])
    height = np.minimum(bottom, taken[:, 3]) - np.maximum(top, taken[:, 1])
    return np.maximum(width, 0) * np.maximum(height, 0)


def _label_size(lettering: Lettering, size: int) -> tuple[int, int]:
    """Return width and height in pixels of a label with its padding."""
    width, above, below = _extent(lettering, size)
    return ceil(width) + 2 * _padding(size), above + below


@lru_cache(maxsize=4096)
def _extent(lettering: Lettering, size: int) -> tuple[float, int, int]:
    """Return the width of a text and the pixels that it needs above and below its base line."""
    text, file = lettering
    font = load_font(file, size)
    ascent, descent = load_font(default_font(), size).getmetrics()
    _, top, _, bottom = font.getbbox(text, anchor="ls")
    return font.getlength(text), max(ascent, -top), max(descent, bottom)


def _padding(size: int) -> int:
    return max(1, round(size * PADDING_SHARE))


@lru_cache(maxsize=512)  # the same ones come again in the next frames
def _label(lettering: Lettering, size: int, colour: Colour) -> np.ndarray:
    """Return a label (h, w, 3) uint8."""
    image = Image.new("RGB", _label_size(lettering, size), colour)
    text, file = lettering
    red, green, blue = colour
    is_bright = 0.299 * red + 0.587 * green + 0.114 * blue > BRIGHT  # luma of Rec. 601
    fill = "black" if is_bright else "white"
    _, above, _ = _extent(lettering, size)
    start = _padding(size), above
    ImageDraw.Draw(image).text(start, text, fill, load_font(file, size), anchor="ls")
    return np.array(image)
