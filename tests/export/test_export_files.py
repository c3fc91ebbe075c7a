"""Exported files, each in the runtime of its format, against the network in TensorFlow."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from random_network import SIZE, random_images, random_network

import export
from yolov3.annotations import Record
from yolov3.configs import REPO, Config
from yolov3.detection import Detector
from yolov3.export.onnx_file import write_openvino
from yolov3.exported import needs_tensorflow
from yolov3.images import read_image, write_image

SETTINGS = {"score_threshold": 0.001, "precision": "float32"}
# Largest difference in pixels and score; of int8 the ranges are those of noise.
TOLERANCES = {"float32": (0.05, 1e-4), "float16": (0.5, 0.02), "int8": (8, 0.2)}
CASES = [
    ("onnx", "float32", False),
    ("onnx", "float32", True),
    ("onnx", "float16", False),
    ("onnx", "int8", False),
    ("openvino", "float32", True),
    ("openvino", "int8", False),
    ("litert", "float32", False),
    ("litert", "int8", False),
    ("saved_model", "float32", True),
    ("saved_model", "float16", False),
]


@pytest.fixture(scope="module")
def model():
    tf.keras.utils.set_random_seed(0)
    return random_network()


@pytest.fixture(scope="module")
def detector(model):
    return Detector(model, input_size=SIZE, **SETTINGS)


@pytest.fixture(scope="module")
def file_of(model, tmp_path_factory):
    folder, noise = tmp_path_factory.mktemp("files"), random_images()
    records = [Record(str(folder / f"{i}.png"), None, None, i) for i in range(len(noise))]
    for record, image in zip(records, noise, strict=True):
        write_image(record.image_path, image)

    def write(kind, precision="float32", dynamic=False):
        for package in export.PACKAGES[kind]:
            pytest.importorskip(package)
        config, target = Config(tiny=True), folder / f"{kind}-{precision}-{dynamic}"
        about = {
            "network": config.network,
            "class_names": ["cat", "dog"],
            "anchors": config.anchors,
        }
        about |= {"strides": config.strides, "input_size_hw": [SIZE, SIZE], "dynamic": dynamic}
        about |= {"precision": precision, "score_threshold": 0.001, "iou_threshold": 0.45}
        target.mkdir(exist_ok=True)
        written = [path for path in target.iterdir() if path.suffix != ".bin"]
        return written[0] if written else export.write(kind, model, target, about, True, records)

    return write


@pytest.mark.parametrize(("kind", "precision", "dynamic"), CASES)
def test_a_file_computes_what_the_network_does(
    file_of, model, detector, kind, precision, dynamic, caplog, recwarn
):
    ours = Detector(file_of(kind, precision, dynamic))
    assert not [record for record in caplog.records if record.name == "root"]
    assert not [warning for warning in recwarn if "Interpreter" in str(warning.message)]
    assert ours.class_names == ["cat", "dog"] and ours.precision == precision
    assert (ours.input_hw, ours.score_threshold) == ((SIZE, SIZE), 0.001)
    rng, (most_pixels, most_score) = np.random.default_rng(5), TOLERANCES[precision]
    for height, width in ((64, 64), (96, 32)) if dynamic else ((64, 64),):
        images = rng.integers(0, 256, (3, height, width, 3), np.uint8)
        boxes, scores = ours.backend.run(images)
        everything = {"agnostic": False, "max_detections": 10_000, "max_per_class": None}
        reference = detector.backend.suppression(**everything)
        wanted = reference(detector.backend.run(images), 0.0, 1.0)
        for index in range(3):
            keep = np.lexsort((scores[index].ravel(),))[::-1]
            box, score = wanted[0][index].numpy(), wanted[1][index].numpy()
            assert len(keep) == int(wanted[3][index]) == 3 * 5 * (height * width // 32**2) * 2
            np.testing.assert_allclose(
                scores[index].ravel()[keep], score[: len(keep)], atol=most_score
            )
            nearest = np.abs(boxes[index] - box[:20, np.newaxis]).max(axis=-1).min(axis=-1)
            nearest /= np.maximum(1, np.abs(box[:20]).max(axis=-1) / SIZE)  # some are huge
            assert (nearest.max() if precision == "float32" else np.median(nearest)) < most_pixels
    if not dynamic:
        with pytest.raises(ValueError, match=r"input_size: .* takes 64x64 alone, not 96"):
            Detector(file_of(kind, precision, dynamic), input_size=96)


def test_a_detector_of_a_file_finds_what_that_of_the_network_finds(file_of, detector):
    ours = Detector(file_of("onnx"))
    for image in random_images():
        for our, their in zip(ours(image), detector(image), strict=True):
            np.testing.assert_allclose(our, their, atol=0.05)


def test_nms_of_an_onnx_file_is_that_per_class(file_of):
    path, onnxruntime = file_of("onnx", dynamic=True), pytest.importorskip("onnxruntime")
    images = np.stack([image[:32, :32] for image in random_images()])
    names = ("images", "classes", "scores", "boxes")
    session = onnxruntime.InferenceSession(path)
    *found, boxes = session.run([f"detection_{name}" for name in names], {"images": images})
    backend = Detector(path).backend
    rule = {"agnostic": False, "max_detections": 1000, "max_per_class": 100}
    wanted = backend.suppression(**rule)(backend.run(images), 0.001, 0.45)
    for index in range(len(images)):
        ours = np.flatnonzero(found[0] == index)
        order = ours[np.argsort(-found[2][ours], kind="stable")]
        np.testing.assert_array_equal(found[2][order], wanted[1][index])
        np.testing.assert_array_equal(found[1][order], wanted[2][index])
        np.testing.assert_allclose(boxes[order] * 32, wanted[0][index], atol=1e-4)


def test_signatures_of_a_saved_model_have_the_names_of_model_garden(file_of, detector, tmp_path):
    signatures = tf.saved_model.load(file_of("saved_model", dynamic=True)).signatures
    image = random_images()[1].repeat(2, axis=0).repeat(2, axis=1)  # 200 x 120
    write_image(tmp_path / "a.jpg", image)
    expected = detector(read_image(tmp_path / "a.jpg"))
    encoded = tf.constant([(tmp_path / "a.jpg").read_bytes()])
    found = {k: v.numpy()[0] for k, v in signatures["image_bytes"](image_bytes=encoded).items()}
    boxes = found["detection_boxes"][:, [1, 0, 3, 2]] * [120, 200, 120, 200]
    best = slice(0, 5)
    np.testing.assert_allclose(found["detection_scores"][best], expected[1][best], atol=0.02)
    assert 5 < found["num_detections"] <= 100
    nearest = np.abs(boxes[:, np.newaxis] - expected[0][best]).max(axis=-1).min(axis=0)
    assert nearest.max() < 2
    images = np.zeros((2, 64, 96, 3), np.uint8)
    served = signatures["serving_default"](images=tf.constant(images))
    assert {name: part.shape[0] for name, part in served.items()} == dict.fromkeys(found, 2)


@pytest.mark.parametrize("name", ["a.onnx", "a.tflite", "a.xml"])
def test_another_file_is_refused_in_one_line(name, tmp_path):
    path = tmp_path / name
    with pytest.raises(ValueError, match=rf"^{path}: .*\Z"):
        Detector(path)
    path.write_bytes(b"no such file" * 9)
    with pytest.raises(ValueError, match=rf"^{path}: (no file of export.py|needs ).*\Z"):
        Detector(path)


def test_settings_of_a_file_are_its_own(file_of, tmp_path):
    path = file_of("onnx")
    assert not needs_tensorflow(path) and needs_tensorflow("checkpoints")
    with pytest.raises(ValueError, match="has anchors and a precision of its own"):
        Detector(path, anchors="yolov3-tiny")
    (tmp_path / "run.onnx").mkdir()  # a folder may have any name
    with pytest.raises(ValueError, match="no checkpoint in this folder"):
        Detector(tmp_path / "run.onnx")
    import onnx

    damaged = onnx.load(path)
    about = json.loads(damaged.metadata_props[0].value)
    damaged.metadata_props[0].value = json.dumps(about | {"score_threshold": 0})
    onnx.save(damaged, tmp_path / "zero.onnx")
    assert Detector(tmp_path / "zero.onnx").score_threshold == 0
    damaged.metadata_props[0].value = json.dumps(about | {"class_names": "cat"})
    onnx.save(damaged, tmp_path / "b.onnx")
    with pytest.raises(ValueError, match="b.onnx: no file of export.py: class_names of .cat."):
        Detector(tmp_path / "b.onnx")


def test_a_failure_leaves_no_half_of_an_openvino_model(file_of, tmp_path, monkeypatch):
    openvino, path = pytest.importorskip("openvino"), file_of("onnx")

    def fail(model, path, **_):
        Path(path).write_text("half")
        raise OSError("no space left")

    monkeypatch.setattr(openvino, "save_model", fail)
    with pytest.raises(OSError, match="no space left"):
        write_openvino(path, tmp_path / "model.xml", {"precision": "float32"})
    assert not list(tmp_path.iterdir())


LITERT = """
import os, sys, zipfile
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from yolov3 import exported
with zipfile.ZipFile("a.tflite", "w") as archive:
    archive.writestr(exported.METADATA, "{}")
exported.OPENERS["litert"]("a.tflite")
"""
STAND_IN = """
class Interpreter:
    def __init__(self, path, num_threads):
        print(num_threads)
    def get_signature_runner(self, name): ...
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux binds processes")
def test_litert_takes_the_cores_that_its_process_may_use(tmp_path):
    (tmp_path / "ai_edge_litert").mkdir()
    (tmp_path / "ai_edge_litert" / "__init__.py").touch()
    (tmp_path / "ai_edge_litert" / "interpreter.py").write_text(STAND_IN)
    paths = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPO}"}
    words = [sys.executable, "-c", LITERT]
    done = subprocess.run(
        words, cwd=tmp_path, env=os.environ | paths, capture_output=True, text=True
    )
    assert done.stdout == "1\n", done.stderr
