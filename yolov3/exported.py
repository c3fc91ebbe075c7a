"""The backends of a `Detector` for the files of export.py, each in the runtime of its format.

Whatever the format, `images` uint8 (B, H, W, 3) RGB, letterboxed, leads to `boxes` (B, K, 4), xyxy
in [0, 1] of the input, and `scores` (B, K, C), float32, before NMS; the file holds the metadata.
"""

import json
import os
import warnings
import zipfile
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from yolov3.configs import Config
from yolov3.files import MAX_JSON_BYTES, is_a, read_bounded, regular_size
from yolov3.nms import suppress

KEY, METADATA = "yolov3", "metadata.json"  # of the metadata, as an entry and as a file
OUTPUTS = ("boxes", "scores")
PREDICT = "predict"  # the signature that gives them
SAVED_MODEL = "saved_model.pb"
SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "openvino": ".xml", "saved_model": ""}
ONE_LINE = 200  # letters of what a runtime says


def format_of(source) -> str | None:
    """Return the format of an exported file or folder by its name, None for any other source."""
    if not isinstance(source, str | Path):
        return None
    path = Path(source)
    if path.is_dir():
        return "saved_model" if (path / SAVED_MODEL).is_file() else None
    suffix = path.suffix.lower() or None
    return next((kind for kind, own in SUFFIXES.items() if own == suffix), None)


def needs_tensorflow(source) -> bool:
    """Tell whether a `Detector` of this source imports TensorFlow."""
    kind = format_of(source)
    return kind in (None, "saved_model") or (kind == "litert" and not find_spec("ai_edge_litert"))


class ExportedBackend:
    """Run an exported file: see `detection.open_backend`. Raises ValueError for any other."""

    checkpoint = None

    def __init__(self, path):
        self.weights = str(path)
        try:
            if not os.path.isdir(path):
                regular_size(path)
            text, self._predict = OPENERS[format_of(path)](str(path))
            about = json.loads(text)
            self.config = Config(
                tiny=about["network"] == "yolov3-tiny",
                anchors=about["anchors"],
                test_score_threshold=about["score_threshold"],
                test_iou_threshold=about["iou_threshold"],
            )
            self.score_threshold = self.config.test_score_threshold
            self.class_names, self.precision = about["class_names"], about["precision"]
            self.input_size, self.is_dynamic = tuple(about["input_size_hw"]), about["dynamic"]
            if not is_a(self.class_names, list[str]):
                raise ValueError(f"class_names of {self.class_names!r:.80}")
        except ModuleNotFoundError as error:
            advice = f"needs {error.name}: pip install -r requirements-export.txt"
            raise ValueError(f"{path}: {advice}") from None
        except Exception as error:  # each runtime has its own
            reason = " ".join(str(getattr(error, "strerror", None) or error).split())
            raise ValueError(f"{path}: no file of export.py: {reason:.{ONE_LINE}}") from None

    def run(self, images) -> tuple[np.ndarray, np.ndarray]:
        """Return the boxes_xyxy (B, K, 4), in pixels of the input, and scores (B, K, C) of images.

        They are uint8 (B, h, w, 3). A file that is not dynamic takes them one by one.
        """
        images = np.asarray(images)
        parts = [images] if self.is_dynamic else images[:, np.newaxis]
        boxes, scores = map(np.concatenate, zip(*map(self._predict, parts), strict=True))
        return boxes * np.float32(2 * [images.shape[2], images.shape[1]]), scores

    def suppression(self, **rule):
        """Return the NMS of what `run` returned."""

        def suppress_all(outputs, score_threshold, iou_threshold):
            thresholds = {"score_threshold": score_threshold, "iou_threshold": iou_threshold}
            found = [suppress(*x, **thresholds, **rule) for x in zip(*outputs, strict=True)]
            boxes, scores, classes = map(list, zip(*found, strict=True))
            return boxes, scores, classes, list(map(len, scores))

        return suppress_all


def _onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
    text = session.get_modelmeta().custom_metadata_map[KEY]
    return text, lambda images: session.run(OUTPUTS, {"images": images})


def _openvino(path):
    import openvino

    network = openvino.Core().read_model(path)
    text = network.get_rt_info([KEY]).astype(str)
    settings = {"PERFORMANCE_HINT": "LATENCY"}
    if json.loads(text)["precision"] == "float32":  # else bfloat16 where the CPU has it
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    model = openvino.compile_model(network, "AUTO", settings)
    return text, lambda images: [model([images])[name] for name in OUTPUTS]


def _litert(path):
    if find_spec("ai_edge_litert"):
        from ai_edge_litert.interpreter import Interpreter
    else:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    with zipfile.ZipFile(path) as archive:
        text = archive.read(METADATA).decode()
    with warnings.catch_warnings(action="ignore"):  # TensorFlow's will go one day, it says
        interpreter = Interpreter(path, num_threads=cv2.getNumberOfCPUs())
    run = interpreter.get_signature_runner(PREDICT)

    def predict(images):
        outputs = run(images=images)
        return [outputs[name] for name in OUTPUTS]

    return text, predict


def _saved_model(path):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)  # its variables are gone with it
    text = read_bounded(Path(path, "assets.extra", METADATA), MAX_JSON_BYTES).decode()

    def predict(images):
        outputs = loaded.signatures[PREDICT](images=tf.constant(images))
        return [outputs[name].numpy() for name in OUTPUTS]

    return text, predict


OPENERS = {"onnx": _onnx, "openvino": _openvino, "litert": _litert, "saved_model": _saved_model}
