"""A network as an ONNX file: batch normalisation folded, boxes decoded, NMS if wanted."""

import json
import tempfile
from pathlib import Path

import keras
import numpy as np

from yolov3.configs import ANCHORS_PER_SCALE
from yolov3.exported import KEY, OUTPUTS
from yolov3.files import atomic_write
from yolov3.kernels.folding import folded_weights
from yolov3.nms import MAX_DETECTIONS
from yolov3.yolov3 import MAX_LOG_SIZE

OPSET, IR_VERSION = 17, 8  # old enough for every runtime of these years
FLOAT, UINT8, INT64, FLOAT16 = 1, 2, 7, 10  # as onnx.TensorProto has them
TYPES = {"float16": FLOAT16, "float32": FLOAT, "int8": FLOAT}


class Graph:
    """The nodes and constants of an ONNX graph, as they are added."""

    def __init__(self):
        import onnx  # an optional package

        self.onnx, self.nodes, self.constants = onnx, [], []

    def add(self, operator: str, *inputs, name: str | None = None, outputs: int = 1, **attributes):
        """Add a node; return the name of its output or, of several, their names.

        An input is the name of another output, or a constant.
        """
        name = name or f"{operator}_{len(self.nodes)}"
        names = [name] if outputs == 1 else [f"{name}:{index}" for index in range(outputs)]
        inputs = [self._named(value, f"{name}/{place}") for place, value in enumerate(inputs)]
        node = self.onnx.helper.make_node(operator, inputs, names, name, **attributes)
        self.nodes.append(node)
        return name if outputs == 1 else names

    def _named(self, value, name):
        if isinstance(value, str):
            return value
        values = np.asarray(value, order="C")
        self.constants.append(self.onnx.numpy_helper.from_array(values, name))
        return name

    def save(self, path, inputs: dict, outputs: dict, **metadata) -> None:
        """Write the file; inputs and outputs are (type, shape) by name."""
        onnx, helper = self.onnx, self.onnx.helper
        port = helper.make_tensor_value_info
        ports = [[port(name, *kind) for name, kind in x.items()] for x in (inputs, outputs)]
        graph = helper.make_graph(self.nodes, "yolov3", *ports, self.constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def write_onnx(model, path, about: dict, nms=False, images=(), for_openvino=False) -> None:
    """Write a network of `build_yolov3` for detection, with the metadata `about`.

    It maps `images` uint8 (B, H, W, 3) to `boxes` (B, K, 4) and `scores` (B, K, C): see `exported`.
    With `nms` there are `detection_boxes` (N, 4), `detection_scores` (N,), `detection_classes` (N,)
    and `detection_images` (N,) too, which image of the batch. For int8, `images` uint8 (1, H, W, 3)
    are of the kind that it will see: they say how large its numbers get; `for_openvino` tells that
    `write_openvino` takes the file.
    """
    graph, num_classes = Graph(), len(about["class_names"])
    size_hw = None if about["dynamic"] else about["input_size_hw"]
    batch, *sides = ["B", "H", "W"] if about["dynamic"] else [1, *size_hw]
    image = graph.add("Cast", "images", to=FLOAT)
    image = graph.add("Transpose", graph.add("Div", image, np.float32(255)), perm=[0, 3, 1, 2])
    raw_maps = add_network(graph, model, image, about["precision"])
    scales = zip(raw_maps, about["anchors"], about["strides"], strict=True)
    decoded = [_add_decode(graph, *scale, num_classes, size_hw) for scale in scales]
    for name, parts in zip(OUTPUTS, zip(*decoded, strict=True), strict=True):
        graph.add("Concat", *parts, name=name, axis=1)
    outputs = {"boxes": (FLOAT, [batch, "K", 4])}
    outputs["scores"] = FLOAT, [batch, "K", num_classes]
    if nms:
        outputs |= _add_nms(graph, about)
    inputs = {"images": (UINT8, [batch, *sides, 3])}
    with tempfile.TemporaryDirectory() as folder, atomic_write(path) as partial:
        is_int8 = about["precision"] == "int8"
        plain = Path(folder, "plain.onnx") if is_int8 else partial
        graph.save(plain, inputs, outputs, **{KEY: json.dumps(about)})
        if is_int8:
            _quantize(plain, partial, model, images, for_openvino)


def add_network(graph: Graph, model: keras.Model, images: str, precision="float32") -> list:
    """Add the layers of a network that computes in `precision`; return the names of its raw maps.

    It maps `images` (B, 3, H, W) in [0, 1] to (B, A * (5 + C), G, G) each, fine to coarse, float32.
    Raises KeyError for a layer that YOLOv3 does not have.
    """
    images = graph.add("Cast", images, to=TYPES[precision])
    names = {model.input.name: images}  # Keras tensor -> ONNX
    dtype = np.float16 if precision == "float16" else np.float32
    for layer in model.layers[1:]:
        kind = type(layer).__name__
        sources = layer.input if isinstance(layer.input, list) else [layer.input]
        inputs = [names[source.name] for source in sources]
        if kind in NO_NODE:
            names[layer.output.name] = inputs[0]
            continue
        operator, constants, attributes = KINDS[kind](layer, model)
        if operator == "Conv":
            constants = [values.astype(dtype) for values in constants]
        graph.add(operator, *inputs, *constants, name=layer.name, **attributes)
        names[layer.output.name] = layer.name
    return [graph.add("Cast", names[raw.name], to=FLOAT) for raw in model.outputs]


def _convolution(layer, model):
    before = layer.kernel_size[0] // 2
    after = before if layer.padding == "same" else 0  # "valid" follows ZeroPadding2D, done here
    kernel, bias = folded_weights(layer.name, model)
    kernel = kernel.transpose(3, 2, 0, 1)  # (out, in, height, width)
    pads = [before, before, after, after]  # top, left, bottom, right
    return "Conv", [kernel, bias], {"strides": list(layer.strides), "pads": pads}


def _pooling(layer, model):
    after = int(layer.padding == "same")  # minus infinity at the bottom right
    attributes = {"kernel_shape": list(layer.pool_size), "strides": list(layer.strides)}
    return "MaxPool", [], {**attributes, "pads": [0, 0, after, after]}


def _upsampling(layer, model):
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    scales = np.array([1, 1, *layer.size], np.float32)
    return "Resize", ["", scales], {"mode": "nearest", **how}  # no region of interest


NO_NODE = {"AnchorAxis", "ZeroPadding2D", "BatchNormalization"}
# Keras layer -> ONNX operator, its constant inputs and its attributes.
KINDS = {
    "Conv2D": _convolution,
    "LeakyReLU": lambda layer, model: ("LeakyRelu", [], {"alpha": float(layer.negative_slope)}),
    "MaxPooling2D": _pooling,
    "UpSampling2D": _upsampling,
    "Add": lambda layer, model: ("Add", [], {}),
    "Concatenate": lambda layer, model: ("Concat", [], {"axis": 1}),
}


def _add_decode(graph, raw, anchors, stride, num_classes, size_hw) -> list[str]:
    """Add `yolov3.decode` of a raw map; return the names of boxes and scores, (B, K, _)."""
    raw = graph.add("Transpose", raw, perm=[0, 2, 3, 1])  # (B, G, G', A * (5 + C))
    cells, grid_wh = _add_cells(graph, raw, stride, size_hw)
    raw = graph.add("Reshape", raw, np.array([0, -1, ANCHORS_PER_SCALE, 5 + num_classes]))
    widths = np.array([2, 2, 1, num_classes])
    t_xy, t_wh, *logits = graph.add("Split", raw, widths, outputs=4, axis=-1)
    centre = graph.add("Add", graph.add("Sigmoid", t_xy), cells)
    t_wh = graph.add("Clip", t_wh, np.float32(-MAX_LOG_SIZE), np.float32(MAX_LOG_SIZE))
    half = graph.add("Mul", graph.add("Exp", t_wh), np.float32(anchors) / stride / 2)  # in cells
    corners = (graph.add(how, centre, half) for how in ("Sub", "Add"))
    boxes = graph.add("Concat", *(graph.add("Div", xy, grid_wh) for xy in corners), axis=-1)
    scores = graph.add("Mul", *(graph.add("Sigmoid", part) for part in logits))
    parts = (boxes, 4), (scores, num_classes)
    return [graph.add("Reshape", part, np.array([0, -1, depth])) for part, depth in parts]


def _add_cells(graph, raw, stride, size_hw) -> tuple:
    """Return the cells (G * G', 1, 2), x before y, and the width and height (2,) of the grid."""
    if size_hw:
        rows, columns = (side // stride for side in size_hw)
        cells = np.stack(np.meshgrid(range(columns), range(rows)), axis=-1)
        return np.float32(cells.reshape(-1, 1, 2)), np.float32([columns, rows])
    grid_hw = graph.add("Shape", raw, start=1, end=3)
    count = graph.add("ReduceProd", grid_hw, keepdims=0)
    index = graph.add("Range", np.int64(0), count, np.int64(1))
    columns = graph.add("Gather", grid_hw, np.int64(1))
    places = (graph.add(how, index, columns) for how in ("Mod", "Div"))
    cells = graph.add("Concat", *(graph.add("Unsqueeze", x, [1, 2]) for x in places), axis=-1)
    grid_wh = graph.add("Gather", grid_hw, [1, 0])
    return tuple(graph.add("Cast", part, to=FLOAT) for part in (cells, grid_wh))


def _add_nms(graph, about) -> dict:
    """Add NMS per class of boxes and scores; return the types and shapes of its outputs."""
    scores = graph.add("Transpose", "scores", perm=[0, 2, 1])  # (B, C, K)
    thresholds = np.float32([[about["iou_threshold"]], [about["score_threshold"]]])
    thresholds[1] = np.nextafter(thresholds[1], np.float32(0))  # it takes scores above
    found = graph.add("NonMaxSuppression", "boxes", scores, [MAX_DETECTIONS], *thresholds)  # (N, 3)
    image, label, box = graph.add("Split", found, outputs=3, axis=1)
    where = graph.add("Concat", image, box, axis=1)
    graph.add("GatherND", "boxes", where, name="detection_boxes")
    graph.add("GatherND", scores, found, name="detection_scores")
    graph.add("Squeeze", label, [1], name="detection_classes")
    graph.add("Squeeze", image, [1], name="detection_images")
    number, index = (FLOAT, ["N"]), (INT64, ["N"])
    kinds = (FLOAT, ["N", 4]), number, index, index
    names = (f"detection_{name}" for name in ("boxes", "scores", "classes", "images"))
    return dict(zip(names, kinds, strict=True))


def _quantize(plain: Path, path, model: keras.Model, images, for_openvino: bool) -> None:
    """Give a file of `write_onnx` 8 bits. The outputs and what follows stay float32.

    A score, a centre and a size in one tensor of 8 bits would share a scale. A range is
    the mean of those of the images: that of all together is 1.4 times as wide, for few numbers.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        inputs = ({"images": image} for image in images)

        def get_next(self):
            return next(self.inputs, None)

    inner = [layer.name for layer in model.layers if not getattr(layer, "use_bias", False)]
    settings = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    settings |= {"nodes_to_quantize": inner, "per_channel": True}
    settings["extra_options"] = options = {"CalibMovingAverage": True}
    if for_openvino:  # it computes a convolution and its leaky ReLU at once, with 8 bits going in
        settings["op_types_to_quantize"] = ["Conv"]
        options["OpTypesToExcludeOutputQuantization"] = ["Conv"]
    quant_pre_process(plain, plain, skip_optimization=True, skip_symbolic_shape=True)
    quantize_static(plain, path, Reader(), **settings)


def write_openvino(onnx_path, path, about: dict) -> None:
    """Write an .xml, and its .bin, that compute what an ONNX file does."""
    import openvino

    model = openvino.convert_model(onnx_path)
    model.set_rt_info(json.dumps(about), [KEY])
    is_half, path = about["precision"] == "float16", Path(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        openvino.save_model(model, Path(folder, path.name), compress_to_fp16=is_half)
        for name in (path.with_suffix(".bin").name, path.name):  # the .xml says that both are there
            Path(folder, name).replace(path.with_name(name))
