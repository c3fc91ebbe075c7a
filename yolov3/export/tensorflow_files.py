"""A network as a SavedModel, which TensorFlow Serving loads, and as a LiteRT file."""

import gc
import json
import tempfile
import zipfile
from pathlib import Path

import keras
import tensorflow as tf

from yolov3.boxes import xywh_to_xyxy
from yolov3.exported import METADATA, PREDICT
from yolov3.files import atomic_folder, atomic_write
from yolov3.images import GREY
from yolov3.kernels.folding import fold
from yolov3.postprocess import detect_boxes
from yolov3.yolov3 import decode, to_float


class Exported:
    """The functions of a network of `build_yolov3` that become signatures; `about` has metadata."""

    def __init__(self, model: keras.Model, about: dict, precision: str):
        self.network, self.about = fold(model, precision, portable=True), about
        self.weights = self.network.get_weights()
        sides = [None] * 3 if about["dynamic"] else [1, *about["input_size_hw"]]
        self.images = tf.TensorSpec([*sides, 3], tf.uint8, name="images")
        self.encoded = tf.TensorSpec(sides[:1], tf.string, name="image_bytes")
        self.run = tf.function(self._run, [self.images])  # once in a file, not in each signature
        self.scales = {"anchors": about["anchors"], "strides": about["strides"]}

    def _run(self, images):
        """Return the raw maps. The weights are constants: what reads a graph may rely on them."""
        weights = list(map(tf.constant, self.weights))
        return self.network.stateless_call(weights, [], to_float(images), training=False)[0]

    def predict(self, images):
        """Return boxes (B, K, 4), xyxy in [0, 1] of the input, and scores (B, K, C)."""
        boxes, scores = [], []
        for raw, anchors, stride in zip(self.run(images), *self.scales.values(), strict=True):
            decoded = decode(raw, anchors, stride)
            decoded = tf.reshape(decoded, [tf.shape(raw)[0], -1, raw.shape[-1]])
            boxes.append(xywh_to_xyxy(decoded[..., :4]))
            scores.append(decoded[..., 4:5] * decoded[..., 5:])
        size_wh = tf.cast(tf.tile(tf.shape(images)[2:0:-1], [2]), tf.float32)
        return {"boxes": tf.concat(boxes, 1) / size_wh, "scores": tf.concat(scores, 1)}

    def detect(self, images):
        """Detect in uint8 (B, H, W, 3): the names, and y before x, as Model Garden has it."""
        boxes, scores, classes, counts = detect_boxes(
            self.run(images),
            **self.scales,
            score_threshold=self.about["score_threshold"],
            iou_threshold=self.about["iou_threshold"],
        )
        size_wh = tf.cast(tf.tile(tf.shape(images)[2:0:-1], [2]), tf.float32)
        return {
            "detection_boxes": tf.gather(boxes / size_wh, [1, 0, 3, 2], axis=-1),
            "detection_scores": scores,
            "detection_classes": classes,
            "num_detections": counts,
        }

    def detect_jpeg(self, image_bytes):
        """Detect in encoded JPEGs (B,): the boxes are in [0, 1] of each image."""
        kinds = tf.TensorSpec([*self.about["input_size_hw"], 3], tf.uint8), tf.TensorSpec([4])
        images, fit = tf.map_fn(self._letterbox, image_bytes, fn_output_signature=kinds)
        found, (offset, size) = self.detect(images), tf.split(fit[:, tf.newaxis], 2, axis=-1)
        boxes = (found["detection_boxes"] - tf.tile(offset, [1, 1, 2])) / tf.tile(size, [1, 1, 2])
        return found | {"detection_boxes": tf.clip_by_value(boxes, 0.0, 1.0)}

    def _letterbox(self, encoded):
        """Do `images.letterbox`; return the input, and offset and size of the image in it, yxyx."""
        image = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
        size, input_hw = tf.cast(tf.shape(image)[:2], tf.float64), self.about["input_size_hw"]
        scale = tf.reduce_min(input_hw / size)
        new = tf.cast(tf.clip_by_value(tf.round(size * scale), 1, input_hw), tf.int32)
        ways = (lambda how=how: tf.image.resize(image, new, how) for how in ("area", "bilinear"))
        resized = tf.cond(scale < 1, *ways)
        before = (input_hw - new) // 2
        pads = tf.stack([before, input_hw - new - before], axis=1)
        padded = tf.pad(tf.round(resized), tf.pad(pads, [[0, 1], [0, 0]]), constant_values=GREY)
        fit = tf.concat([before, new], 0) / tf.tile(input_hw, [2])  # float64
        return tf.ensure_shape(tf.cast(padded, tf.uint8), [*input_hw, 3]), tf.cast(fit, tf.float32)


def write_saved_model(model: keras.Model, path, about: dict) -> None:
    """Write a folder with the signatures predict, serving_default and image_bytes."""
    module = Exported(model, about, about["precision"])
    signatures = {
        PREDICT: tf.function(module.predict, [module.images]),
        "serving_default": tf.function(module.detect, [module.images]),
        "image_bytes": tf.function(module.detect_jpeg, [module.encoded]),
    }
    with atomic_folder(Path(path)) as folder:
        tf.saved_model.save(tf.Module(), folder, signatures)
        extra = folder / "assets.extra"
        extra.mkdir()
        (extra / METADATA).write_text(json.dumps(about, indent=1), encoding="utf-8")


def write_litert(model: keras.Model, path, about: dict) -> None:
    """Write a file with the signature predict.

    For int8 the weights have 8 bits, and activations take theirs as they come. The converter has
    no other way that spares `decode`: with fixed ranges for all, boxes in 8 bits find nothing.
    """
    module = Exported(model, about, "float32")  # the converter makes it the other
    with tempfile.TemporaryDirectory() as folder, atomic_write(path) as partial:
        predict = {PREDICT: tf.function(module.predict, [module.images])}
        tf.saved_model.save(tf.Module(), folder, predict)
        del module, predict
        gc.collect()  # they refer to each other; the converter needs the memory of their weights
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[PREDICT])
        if about["precision"] != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if about["precision"] == "float16":
            converter.target_spec.supported_types = [tf.float16]
        partial.write_bytes(converter.convert())
        with zipfile.ZipFile(partial, "a") as archive:  # behind the file, which does not mind
            archive.writestr(METADATA, json.dumps(about))
