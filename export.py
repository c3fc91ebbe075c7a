"""Export a trained network for other runtimes, and check each file in its own.

    python export.py --format onnx
    python export.py --weights checkpoints/my_run --format saved_model onnx litert openvino
    python export.py --format litert openvino --precision int8 --output exports/int8
    python export.py --weights model_data/yolov3.weights --format onnx --annotations my_test.txt

Each export writes to a new folder in exports/. At the end a table compares every file with the
checkpoint on annotated images. A file of float32 has the same boxes within 0.05 pixels and scores
within 0.0001, one of float16 or int8 loses at most 0.01 of mAP50. The runtimes are those of
requirements-export.txt. Exit codes: 0, 1 (a file differs more, or a failure), 2 (bad input), 130
(Ctrl-C).
"""

import math
import tempfile
from importlib.util import find_spec
from pathlib import Path

from yolov3.cli.flags import Parser, add_detector_flags, detector_settings, positive_int
from yolov3.cli.run import import_tensorflow, run_script
from yolov3.configs import EVAL_SCORE_THRESHOLD
from yolov3.exported import SUFFIXES, format_of

PACKAGES = {  # of each format, beside TensorFlow
    "saved_model": [],
    "onnx": ["onnx", "onnxruntime"],
    "litert": [],
    "openvino": ["onnx", "onnxruntime", "openvino"],  # the second for int8
}
PRECISIONS = ("float32", "float16", "int8")
CALIBRATED = 32  # images
MOST_PIXELS, MOST_SCORE = 0.05, 1e-4  # by which a file of float32 may differ
MOST_MAP = 0.01  # that others may lose
ROW = "{:40} {:>7} {:>7} {:>8} {:>7} {:>7} {:>7} {:>7}"
FIGURES = "{:40} {:7.1f} {:7.3f} {:8.5f} {:7.4f} {:7.4f} {:7.1f} {:7.1f}"
HEADER = ("file", "MB", "pixels", "score", "mAP50", "was", "ms", "was")


def parse_args(argv=None):
    parser = Parser(__doc__)
    add = parser.add_argument
    add("--format", nargs="+", choices=PACKAGES, required=True, help="of the files, one or several")
    add_detector_flags(parser, agnostic_nms=None)
    number = "number format of the network (default: %(default)s)"
    add("--precision", choices=PRECISIONS, default=PRECISIONS[0], help=number)
    any_size = "take any size and number of images, not one of --input-size; not for litert"
    add("--dynamic", action="store_true", help=any_size)
    add("--nms", action="store_true", help="NMS in onnx and openvino; saved_model always has it")
    training = (
        "annotations of images whose ranges int8 takes, but for litert (default: the training's)"
    )
    add("--calibrate", metavar="FILE", help=training)
    images = "images for the check; float32 needs no boxes (default: those of the run's validation)"
    add("--annotations", metavar="FILE", help=images)
    add("--images", type=positive_int, metavar="N", help="check on the first N (default: all)")
    add("--output", metavar="DIR", help="new or empty folder (default: a new one in exports)")
    args = parser.parse_args(argv)
    if args.precision == "int8" and "saved_model" in args.format:
        parser.error("--precision: saved_model has no int8; litert, onnx and openvino do")
    if args.dynamic and "litert" in args.format:
        parser.error("--dynamic: litert takes one size alone")
    for package in sum(map(PACKAGES.get, args.format), []):
        if not find_spec(package):
            advice = "pip install -r requirements-export.txt"
            parser.error(f"--format: {package} is not installed: {advice}")
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    if format_of(args.weights):
        expected = "a checkpoint or Darknet weights; received an exported file"
        raise ValueError(f"{args.weights}: expected {expected}")
    import_tensorflow()
    from yolov3.data.annotation_check import load_records
    from yolov3.detection import Detector
    from yolov3.files import output_folder, require_empty
    from yolov3.tensorflow_backend import TensorFlowBackend, open_network

    if args.output:
        require_empty(args.output)
    settings = detector_settings(args)
    model, *_ = opened = open_network(args.weights, settings.pop("anchors"))
    settings["source"] = TensorFlowBackend(opened, "float32")
    detector = Detector(**settings)
    run = detector.config if detector.checkpoint else None  # Darknet weights name no images

    def records_of(flag, path):
        if not path:
            raise ValueError(f"{flag}: these weights name no images of theirs; give a file of some")
        return load_records(path, detector.config, len(detector.class_names))

    path = args.annotations or (run and run.test_annot_path)
    records, samples = records_of("--annotations", path)[: args.images], []
    if args.precision != PRECISIONS[0] and not any(len(record.classes) for record in records):
        raise ValueError(f"{path}: {args.precision} is judged by mAP50: give images with boxes")
    if args.precision == "int8" and {"onnx", "openvino"} & set(args.format):
        samples = records_of("--calibrate", args.calibrate or (run and run.train_annot_path))
    with output_folder(args.output, "exports") as folder:
        about = metadata(detector, args)
        files = [write(kind, model, folder, about, args.nms, samples) for kind in args.format]
        settings["score_threshold"] = EVAL_SCORE_THRESHOLD
        return compare(Detector(**settings), files, records, about)


def metadata(detector, args) -> dict:
    """Return what a program must know of the file."""
    return {
        "version": 1,  # of these entries
        "network": detector.config.network,
        "class_names": detector.class_names,
        "precision": args.precision,
        "input_size_hw": list(detector.input_hw),
        "dynamic": args.dynamic,
        "letterbox": "fit into the input, centred, aspect kept, grey 128 around; area averaging",
        "anchors": detector.anchors,
        "strides": detector.config.strides,
        "score_threshold": detector.score_threshold,
        "iou_threshold": detector.iou_threshold,
    }


def write(kind: str, model, folder: Path, about: dict, nms: bool, samples) -> Path:
    """Write a file of a format; return its path."""
    path = folder / f"{about['network']}-{about['precision']}{SUFFIXES[kind]}"
    images = calibration_images(samples, about["input_size_hw"])
    if kind in ("saved_model", "litert"):
        from yolov3.export.tensorflow_files import write_litert, write_saved_model

        (write_litert if kind == "litert" else write_saved_model)(model, path, about)
    else:
        from yolov3.export.onnx_file import write_onnx, write_openvino

        with tempfile.TemporaryDirectory() as temporary:
            onnx_path = path if kind == "onnx" else Path(temporary, "model.onnx")
            write_onnx(model, onnx_path, about, nms, images, for_openvino=kind == "openvino")
            if kind == "openvino":
                write_openvino(onnx_path, path, about)
    print(f"wrote {path}", flush=True)
    return path


def calibration_images(records, input_hw):
    """Yield the letterboxed images, uint8 (1, H, W, 3), of records from all over the file."""
    from yolov3.images import letterbox, read_image

    for record in records[:: max(1, len(records) // CALIBRATED)][:CALIBRATED]:
        yield letterbox(read_image(record.image_path), input_hw)[None]


def compare(detector, files, records, about) -> int:
    """Print how each file differs from the checkpoint; return the exit code."""
    from yolov3.detection import Detector
    from yolov3.evaluation import evaluate, largest_difference, time_stages

    def measured(detector):
        result = evaluate(detector, records)
        times = time_stages(detector, result, batch_size=1)
        return result.detections, result.figures["mAP50"], sum(list(times.values())[1:])

    ours, our_map, our_ms = measured(detector)
    least, code = about["score_threshold"], 0
    if not any((scores >= least).any() for _, scores, _ in ours):
        least = EVAL_SCORE_THRESHOLD  # rather than nothing
    print(ROW.format(*HEADER))
    for path in files:
        theirs, its_map, its_ms = measured(Detector(path, score_threshold=EVAL_SCORE_THRESHOLD))
        pixels, score = largest_difference(ours, theirs, least)
        is_same = pixels <= MOST_PIXELS and score <= MOST_SCORE
        is_good = is_same if about["precision"] == "float32" else its_map >= our_map - MOST_MAP
        verdict = "" if is_good else " DIFFERS"
        if math.isnan(pixels):  # neither found anything, so nothing was compared
            verdict = " FOUND NOTHING"
        code |= verdict != ""
        row = path.name + verdict, file_megabytes(path), pixels, score
        print(FIGURES.format(*row, its_map, our_map, its_ms, our_ms), flush=True)
    return code


def file_megabytes(path: Path) -> float:
    """Return the size of an exported file, with the .bin of an .xml, or of a folder."""
    parts = [path, *path.rglob("*")] + [path.with_suffix(".bin")] * (path.suffix == ".xml")
    return sum(part.stat().st_size for part in parts if part.is_file()) / 1e6


if __name__ == "__main__":
    run_script(main)
