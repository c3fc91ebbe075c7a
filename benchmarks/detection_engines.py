"""The engines of `detection.py`, and the check that they compute the same.

Each takes the folder of `detection_files.py`, a batch (B, H, W, 3) in [0, 1] and a precision, and
returns `run() -> raw maps` as arrays, fine to coarse, and the versions of its packages. It computes
on all cores that the process may use, and no process but that of this repository holds TensorFlow.
"""

from pathlib import Path

import numpy as np

from benchmarks.timing import cores, versions

WEIGHTS, ONNX, FOLDED, EXPECTED = "network.weights", "network.onnx", "folded.npz", "expected.npz"


def repository(folder, images, precision):
    """The network of `Detector`, as `detect.py` runs it."""
    import tensorflow as tf

    from yolov3.detection import Detector

    network = Detector(Path(folder) / WEIGHTS, precision=precision).backend.network
    graph = tf.function(lambda images: network(images, training=False))
    images = tf.constant(images)
    return lambda: [raw.numpy() for raw in graph(images)], versions("tensorflow")


def openvino(folder, images, precision):
    import openvino

    core = openvino.Core()
    network = core.read_model(Path(folder) / ONNX)
    images = channels_first(images)
    network.reshape(images.shape)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": len(cores()),
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
    }
    request = core.compile_model(network, "CPU", settings).create_infer_request()

    def run():
        outputs = request.infer([images], share_inputs=True, share_outputs=True)
        return [outputs[index] for index in range(len(outputs))]

    return run, versions("openvino")


def onnxruntime(folder, images, precision):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(cores())
    session = onnxruntime.InferenceSession(
        Path(folder) / ONNX, options, providers=["CPUExecutionProvider"]
    )
    images = channels_first(images)
    return lambda: session.run(None, {"image": images}), versions("onnxruntime")


def opencv(folder, images, precision):
    import cv2

    cv2.setNumThreads(len(cores()))
    network = cv2.dnn.readNetFromONNX(str(Path(folder) / ONNX))
    names = network.getUnconnectedOutLayersNames()
    images = channels_first(images)

    def run():
        network.setInput(images)
        return sorted(network.forward(names), key=lambda raw: -raw.shape[2])  # fine to coarse

    return run, versions("opencv-python")


def pytorch(folder, images, precision, compiled=False):
    import torch

    from benchmarks.torch_detection import folded_network

    torch.set_num_threads(len(cores()))
    number = getattr(torch, precision)
    with np.load(Path(folder) / FOLDED) as weights:
        network = folded_network(weights).to(number, memory_format=torch.channels_last)
    images = torch.from_numpy(images).permute(0, 3, 1, 2).to(number)  # channels last in memory
    if compiled:
        torch._inductor.config.freezing = True
        network = torch.compile(network)

    @torch.inference_mode()
    def run():
        return [raw.numpy() for raw in network(images)]

    return run, versions("torch")


def compiled_pytorch(folder, images, precision):
    return pytorch(folder, images, precision, compiled=True)


def channels_first(images):
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def read_expected(folder) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the input (1, H, W, 3) in [0, 1] and its raw maps (1, G, G, A, 5 + C)."""
    with np.load(Path(folder) / EXPECTED) as arrays:
        image, *raw_maps = (arrays[name] for name in arrays.files)
    return image, raw_maps


def error_of(raw_maps, expected) -> float:
    """Return the largest error of raw maps, in standard deviations of the expected ones.

    Channels may come first, (B, A * (5 + C), G, G), and the batch may repeat the image.
    """
    errors = []
    for raw, right in zip(raw_maps, expected, strict=True):
        if raw.ndim == 4:
            raw = raw.transpose(0, 2, 3, 1).reshape(-1, *right.shape[1:])
        errors.append(np.abs(raw.astype(np.float32) - right).max() / right.std())
    return float(max(errors))
