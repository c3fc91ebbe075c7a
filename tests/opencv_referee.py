"""A network of this project and the same one in OpenCV's reader of Darknet models."""

import functools
from typing import NamedTuple

import cv2
import darknet_cfg
import keras
import numpy as np

from yolov3.configs import Config
from yolov3.darknet import load_darknet_weights, open_darknet
from yolov3.images import letterbox
from yolov3.yolov3 import build_yolov3, decode

CLASSES = 3
RAW_TOLERANCE = 2e-4
PROBABILITY_TOLERANCE = 1e-4
BOX_TOLERANCE = 0.05  # pixels


class Pair(NamedTuple):
    """A network of this project and the same one in OpenCV, with the same weights."""

    model: keras.Model
    config: Config
    weights: str
    referee: cv2.dnn.Net
    outputs: list[str]  # the referee's raw maps, coarse to fine
    decoded: list[str]  # and its decoded boxes

    def raw_maps(self, image):
        """Run both on (H, W, 3) float32: per scale, fine to coarse, (ours, theirs)."""
        return [scale[:2] for scale in self.run(image)]

    def run(self, image):
        """Return per scale, fine to coarse: raw map, referee's, decoded rows, referee's."""
        ours = [raw.numpy() for raw in self.model(image[np.newaxis], training=False)]
        self.referee.setInput(np.ascontiguousarray(image.transpose(2, 0, 1))[np.newaxis])  # NCHW
        theirs = self.referee.forward(self.outputs + self.decoded)
        raw_maps, rows = theirs[: len(ours)][::-1], theirs[len(ours) :][::-1]
        scales = zip(ours, raw_maps, rows, self.config.anchors, self.config.strides, strict=True)
        return [
            (
                our,
                raw.transpose(0, 2, 3, 1).reshape(our.shape),  # (1, G, G, A, 5 + C)
                decode(our, anchors, stride).numpy().reshape(-1, 5 + CLASSES),
                row.reshape(-1, 5 + CLASSES),
            )
            for our, raw, row, anchors, stride in scales
        ]


def make_pair(folder, tiny, layers, mask=darknet_cfg.TINY_MASK, anchors=None):
    cfg, weights = str(folder / "network.cfg"), str(folder / "network.weights")
    with open(cfg, "w", encoding="utf-8") as stream:
        stream.write(darknet_cfg.cfg_text(tiny, CLASSES, 416, 416, mask))
    darknet_cfg.write_weights(weights, layers)
    words = list(enumerate(darknet_cfg.sections(tiny, mask)))
    model, config, _ = open_darknet(weights, anchors=anchors)
    return Pair(
        model=model,
        config=config,
        weights=weights,
        referee=cv2.dnn.readNetFromDarknet(cfg, weights),
        outputs=[f"conv_{i}" for i, word in words if word == "out"],
        decoded=[f"yolo_{i}" for i, word in words if word.startswith("yolo")],
    )


def random_layers(tiny):
    return darknet_cfg.random_layers(tiny, CLASSES, seed=1)


def square(height, width):
    return np.random.default_rng(2).random((height, width, 3), np.float32)


def letterboxed(height, width):
    image = np.random.default_rng(3).integers(0, 256, (180, 300, 3), np.uint8)
    return letterbox(image, (height, width)).astype(np.float32) / 255


IMAGES = {
    "320 square": square(320, 320),
    "416 letterboxed": letterboxed(416, 416),
    "320x416": square(320, 416),  # shows up height taken for width
    "160x224": square(160, 224),  # the same, for the large network
}


def assert_agree(pair, image):
    height, width = image.shape[:2]
    for raw, their_raw, rows, their_rows in pair.run(image):
        assert their_raw.std() > 0.2  # the weights do not damp everything to nothing
        close = functools.partial(np.testing.assert_allclose, rtol=0)
        close(raw, their_raw, atol=RAW_TOLERANCE)
        their_boxes_xywh = their_rows[:, :4] * [width, height, width, height]  # from [0, 1]
        close(rows[:, :4], their_boxes_xywh, atol=BOX_TOLERANCE)
        close(rows[:, 4], their_rows[:, 4], atol=PROBABILITY_TOLERANCE)
        close(rows[:, 4:5] * rows[:, 5:], their_rows[:, 5:], atol=PROBABILITY_TOLERANCE)


def error_of(pair, image="320 square"):
    """Return the largest error in the raw maps of a network that is built and loaded anew."""
    model = build_yolov3(CLASSES, pair.config.tiny)
    load_darknet_weights(model, pair.weights)
    raw_maps = pair._replace(model=model).raw_maps(IMAGES[image])
    return max(abs(ours - theirs).max() for ours, theirs in raw_maps)
