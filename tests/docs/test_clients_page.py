"""The programs of docs/clients.md: each finds what a `Detector` finds."""

import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from random_network import SIZE, random_network

import export
from yolov3.configs import REPO, Config
from yolov3.detection import Detector
from yolov3.images import letterbox_params, read_image, write_image

PAGE = (REPO / "docs" / "clients.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^([^\n`]+)(?:\n\n)```python\n(.*?)```", PAGE, re.M | re.S))
SERVERS = dict(
    re.findall(r"^## (TensorFlow Serving|Triton)$.*?```python\n(.*?)```", PAGE, re.M | re.S)
)
FOR_ALL = BLOCKS["For all:"]
OTHERS = dict(re.findall(r"^```(js|cpp)\n(.*?)```", PAGE, re.M | re.S))
JS_PACKAGES = [REPO / "node_modules", *map(Path, os.environ.get("NODE_PATH", "").split(":"))]
NAMES = ["cat", "dog"]
CHROMIUM = shutil.which("chromium")
IN_PAGE = """async (size) => {
  const image = await createImageBitmap(await (await fetch("small.png")).blob());
  return (await import("/detect.mjs")).detect("model.onnx", size, image, 0.004, 0.45);
}"""
SETTINGS = {"input_size": SIZE, "score_threshold": 0.004, "precision": "float32"}


@pytest.fixture(scope="module")
def model():
    return random_network()


@pytest.fixture(scope="module")
def file_of(model, tmp_path_factory):
    """Return a function that exports the model to a format."""

    def write(kind, dynamic=False):
        for package in export.PACKAGES[kind]:
            pytest.importorskip(package)
        config = Config(tiny=True)
        about = {"network": config.network, "class_names": NAMES, "dynamic": dynamic}
        about |= {"anchors": config.anchors, "strides": config.strides, "precision": "float32"}
        about |= {"input_size_hw": [SIZE, SIZE], "score_threshold": 0.004, "iou_threshold": 0.45}
        return export.write(kind, model, tmp_path_factory.mktemp(kind), about, False, [])

    return write


@pytest.fixture
def photo(tmp_path):
    rng = np.random.default_rng(3)
    write_image(tmp_path / "photo.jpg", rng.integers(0, 256, (100, 150, 3), np.uint8))
    return tmp_path / "photo.jpg"


def printed(code, *arguments):
    """Run a program; return the words of each line."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def check(lines, model, photo):
    image = read_image(photo)
    boxes_xyxy, scores, classes = Detector(model, multi_label=True, **SETTINGS)(image)
    found = np.array([line[1:] for line in lines], float)
    order = np.argsort(-found[:, 0], kind="stable")[:100]
    assert len(scores) == len(order) > 5
    assert [lines[i][0] for i in order].count("cat") == np.sum(classes == 0)
    np.testing.assert_allclose(found[order, 0], scores, atol=2e-4)
    boxes = np.clip(found[order, 1:], 0, [*image.shape[1::-1]] * 2)
    np.testing.assert_allclose(boxes.mean(axis=0), boxes_xyxy.mean(axis=0), atol=0.05)


@pytest.fixture
def small(tmp_path):
    """Return an image of the input's size: nothing shrinks it in another way."""
    rng = np.random.default_rng(3)
    write_image(tmp_path / "small.png", rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8))
    return tmp_path / "small.png"


@contextlib.contextmanager
def serving(add_to_server, servicer):
    """Serve gRPC in this process; give the address."""
    import grpc

    server = grpc.server(ThreadPoolExecutor(2))
    add_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.mark.parametrize(
    ("runtime", "kind"),
    [
        ("ONNX Runtime", "onnx"),
        ("LiteRT", "litert"),
        ("OpenVINO", "openvino"),
        ("SavedModel", "saved_model"),
    ],
)
def test_a_program_finds_what_the_detector_finds(runtime, kind, file_of, model, photo):
    code = BLOCKS[f"{runtime}:"] + FOR_ALL
    assert len([line for line in code.splitlines() if line]) <= 30
    if kind == "litert":
        pytest.importorskip("ai_edge_litert")
    check(printed(code, file_of(kind), photo), model, photo)


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_the_letterbox_in_javascript_is_ours():
    lines = re.search(r"  const scale = .*?\n  const \[x, y\][^\n]*", PAGE, re.S)[0]
    for image_hw in ((413, 832), (1000, 1), (1, 1000), (480, 640), (3, 832)):
        given = "const [height, width, image] = [416, 416, {{height: {}, width: {}}}];"
        code = given.format(*image_hw) + lines + "\nconsole.log(w, h, x, y);"
        found = subprocess.run(["node", "-e", code], capture_output=True, text=True).stdout
        fit = letterbox_params(image_hw, (416, 416))
        assert [int(word) for word in found.split()] == [*fit.size_wh, *fit.offset_xy]


def test_a_program_in_cpp_finds_what_the_detector_finds(file_of, model, small):
    openvino, folder = pytest.importorskip("openvino"), small.parent
    package = Path(openvino.__file__).parent
    if not (shutil.which("g++") and (package / "include").is_dir()):
        pytest.skip("needs g++ and OpenVINO's headers")
    assert len([line for line in OTHERS["cpp"].splitlines() if line]) <= 30
    (folder / "client.cpp").write_text(OTHERS["cpp"])
    libraries = [*(package / "libs").glob("libopenvino.so*"), f"-Wl,-rpath,{package / 'libs'}"]
    flags = ["-std=c++17", f"-I{package / 'include'}", "-o", folder / "client"]
    subprocess.run(["g++", folder / "client.cpp", *libraries, *flags], check=True)
    Image.open(small).save(folder / "small.ppm")
    words = [folder / "client", file_of("openvino"), folder / "small.ppm", "0.004", "0.45"]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in text.splitlines()]
    lines = [(NAMES[int(label)], s, *(SIZE * float(x) for x in box)) for label, s, *box in rows]
    check(lines, model, small)


def test_a_program_in_javascript_finds_what_the_detector_finds(file_of, model, small):
    playwright = pytest.importorskip("playwright.sync_api")
    packages = [path for path in JS_PACKAGES if (path / "onnxruntime-web" / "dist").is_dir()]
    if not (packages and CHROMIUM):
        pytest.skip("needs Chromium and onnxruntime-web in node_modules")
    folder = small.parent
    (folder / "node_modules").symlink_to(packages[0].resolve())
    (folder / "detect.mjs").write_text(OTHERS["js"])
    (folder / "index.html").write_text("<html></html>")
    shutil.copy(file_of("onnx"), folder / "model.onnx")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with playwright.sync_playwright() as engine:
            browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
            found = page.evaluate(IN_PAGE, [SIZE, SIZE])
            browser.close()
        server.shutdown()
    lines = [(NAMES[one["label"]], one["score"], *one["box"]) for one in found]
    check(lines, model, small)


def test_tensorflow_serving_is_asked_with_its_own_messages(file_of, model, photo):
    pytest.importorskip("tensorflow_serving")
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    loaded = tf.saved_model.load(file_of("saved_model"))

    class StandIn(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            assert request.model_spec.name == "yolov3"
            inputs = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
            found = loaded.signatures[request.model_spec.signature_name](**inputs)
            answer = predict_pb2.PredictResponse()
            for name, value in found.items():
                answer.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
            return answer

    add = prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server
    with serving(add, StandIn()) as address:
        lines = printed(SERVERS["TensorFlow Serving"], address, photo)
    boxes_xyxy, scores, classes = Detector(model, multi_label=True, **SETTINGS)(read_image(photo))
    found = np.array(lines, float)
    # The letterbox of the graph and OpenCV's differ a little.
    assert abs(len(found) - len(scores)) < 4 and found[0, 0] == classes[0]
    assert found[0, 1] == pytest.approx(scores[0], rel=0.1)
    yxyx = boxes_xyxy[0, [1, 0, 3, 2]] / [100, 150, 100, 150]
    np.testing.assert_allclose(found[0, 2:], yxyx, atol=0.03)


def test_triton_is_asked_with_its_own_messages(file_of, model, photo):
    pytest.importorskip("tritonclient.grpc")
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

    config = (REPO / "docs/examples/serving/config.pbtxt").read_text()
    assert text_format.Parse(config, model_config_pb2.ModelConfig()).name == "yolov3"
    path = file_of("onnx", dynamic=True)
    backend = Detector(path).backend

    class StandIn(service_pb2_grpc.GRPCInferenceServiceServicer):
        def ModelInfer(self, request, context):
            [tensor], [content] = request.inputs, request.raw_input_contents
            assert (request.model_name, tensor.name) == ("yolov3", "images")
            images = np.frombuffer(content, np.uint8).reshape(tensor.shape)
            answer = service_pb2.ModelInferResponse(model_name="yolov3")
            boxes, scores = backend.run(images)
            outputs = {"boxes": boxes / np.float32(SIZE), "scores": scores}
            for name, value in outputs.items():
                answer.outputs.add(name=name, datatype="FP32", shape=value.shape)
                answer.raw_output_contents.append(value.tobytes())
            return answer

    add = service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server
    with serving(add, StandIn()) as address:
        check(printed(SERVERS["Triton"] + FOR_ALL, path, photo, address), model, photo)
