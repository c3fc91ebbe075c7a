"""A network as an ONNX file, batch normalisation folded, for ONNX Runtime and OpenVINO."""

import keras
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from yolov3.kernels.folding import folded_weights

OPSET, IR_VERSION = 17, 8  # old enough for every runtime of these years


def write_onnx(model: keras.Model, path, size: int) -> None:
    """Write a network of `build_yolov3` as ONNX for detection, in that format's own layout.

    The file's network maps `image` (B, 3, size, size) to the raw maps, fine to coarse, each
    (B, A * (5 + C), G, G): what the output convolutions give, before the anchors have an axis of
    their own. B is free. Raises KeyError for a layer that YOLOv3 does not have.
    """
    nodes, weights, names = [], [], {}  # names: Keras tensor -> ONNX tensor
    for layer in model.layers:
        kind = type(layer).__name__
        output = names[layer.output.name] = layer.name
        if kind == "InputLayer":
            continue
        sources = layer.input if isinstance(layer.input, list) else [layer.input]
        inputs = [names[source.name] for source in sources]
        if kind in NO_NODE:
            names[layer.output.name] = inputs[0]
            continue
        operator, constants, attributes = KINDS[kind](layer, model)
        for suffix, values in constants.items():
            weights.append(numpy_helper.from_array(values, f"{layer.name}/{suffix}"))
            inputs.append(weights[-1].name)
        if operator == "Resize":
            inputs.insert(1, "")  # no region of interest
        nodes.append(helper.make_node(operator, inputs, [output], layer.name, **attributes))
    outputs = [names[output.name] for output in model.outputs]
    graph = helper.make_graph(
        nodes,
        model.name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 3, size, size])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in outputs],
        weights,
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _convolution(layer, model):
    before = layer.kernel_size[0] // 2
    after = before if layer.padding == "same" else 0  # "valid" follows ZeroPadding2D, done here
    kernel, bias = folded_weights(layer.name, model)
    kernel = kernel.transpose(3, 2, 0, 1)  # (out, in, height, width)
    constants = {"kernel": np.ascontiguousarray(kernel), "bias": bias}
    pads = [before, before, after, after]  # top, left, bottom, right
    return "Conv", constants, {"strides": list(layer.strides), "pads": pads}


def _pooling(layer, model):
    after = int(layer.padding == "same")  # minus infinity at the bottom right
    attributes = {"kernel_shape": list(layer.pool_size), "strides": list(layer.strides)}
    return "MaxPool", {}, {**attributes, "pads": [0, 0, after, after]}


def _upsampling(layer, model):
    scales = {"scales": np.array([1, 1, *layer.size], np.float32)}
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return "Resize", scales, {"mode": "nearest", **how}


NO_NODE = {"AnchorAxis", "ZeroPadding2D", "BatchNormalization"}
# Keras layer -> ONNX operator, its constant inputs and its attributes.
KINDS = {
    "Conv2D": _convolution,
    "LeakyReLU": lambda layer, model: ("LeakyRelu", {}, {"alpha": float(layer.negative_slope)}),
    "MaxPooling2D": _pooling,
    "UpSampling2D": _upsampling,
    "Add": lambda layer, model: ("Add", {}, {}),
    "Concatenate": lambda layer, model: ("Concat", {}, {"axis": 1}),
}
