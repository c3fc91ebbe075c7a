"""Time the files of export.py beside TensorFlow, one image at a time, on a CPU.

    python benchmarks/exported.py
    python benchmarks/exported.py --networks yolov3-tiny --formats onnx openvino
    python benchmarks/exported.py --quick      YOLOv3-tiny, few rounds

Each is the network of a `Detector` with random weights: images in, boxes and scores before NMS out
(of TensorFlow's, raw maps). A format whose packages are not installed is left out and named:
see requirements-export.txt.
"""

import argparse
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import export
from benchmarks.detection import MOST_RUNS, NETWORKS, ON_CPU, TURN_SECONDS, WARM_UPS
from benchmarks.timing import Engine, machine, print_table, ratio, serve, take_turns, versions
from yolov3.cli.run import import_tensorflow, run_script

CALIBRATION = 2  # images; the time does not depend on what is in them
WEIGHTS = "network.weights"


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--formats", nargs="+", choices=export.PACKAGES, default=export.PACKAGES)
    parser.add_argument(
        "--precisions", nargs="+", choices=export.PRECISIONS, default=export.PRECISIONS
    )
    parser.add_argument("--size", type=int, default=416, help="input size in pixels")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each engine")
    parser.add_argument("--quick", action="store_true", help="YOLOv3-tiny, 2 rounds")
    parser.add_argument("--write", metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.quick:
        args.networks, args.rounds = ["yolov3-tiny"], 2
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    if args.write:
        return write_files(args)
    if args.serve:
        return serve_file(*args.serve, args.size)
    missing = {x for kind in args.formats for x in export.PACKAGES[kind] if not find_spec(x)}
    if missing:
        print(f"Not installed: {', '.join(sorted(missing))}; see requirements-export.txt")
    formats = [kind for kind in args.formats if missing.isdisjoint(export.PACKAGES[kind])]
    for network in args.networks:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), network, formats, args)
    print(f"\n{machine()}; {versions('tensorflow', 'onnxruntime', 'openvino', 'ai-edge-litert')}")
    return 0


def compare(folder: Path, network: str, formats, args) -> None:
    """Write the files of a network, time them by turns and print a table."""
    size = f"--size={args.size}"
    chosen = ["--formats", *formats, "--precisions", *args.precisions]
    Engine("files", [__file__, f"--write={folder}", "--networks", network, size, *chosen]).close()
    sources = [(folder / WEIGHTS, "float32"), (folder / WEIGHTS, "auto")]
    sources += [(path, "auto") for path in sorted(folder.glob("*/*")) if path.suffix != ".bin"]
    engines = [
        Engine(str(path), [__file__, size, "--serve", str(path), precision], ON_CPU)
        for path, precision in sources
    ]
    rows = []
    for times in (results := take_turns(engines, args.rounds)):
        path, precision = Path(times.name), times.facts["precision"]
        name = "TensorFlow" if path.name == WEIGHTS else path.parent.name
        milliseconds = 1000 * times.median / times.facts["runs"]
        megabytes = max(times.megabytes)
        row = [f"{milliseconds:.1f}", f"{ratio(results[0], times):.2f}", f"{megabytes:.0f}"]
        rows.append([name, precision, *row, f"{times.facts['file_megabytes']:.1f}"])
    header = ["format", "precision", "ms per image", "TensorFlow, float32 / it"]
    header += ["MB of memory", "MB of the file"]
    print_table(f"{network} at {args.size} px, median of {args.rounds}", header, rows)


def write_files(args) -> int:
    """Write Darknet weights with random numbers, and what export.py makes of them."""
    import_tensorflow()
    from benchmarks.detection_files import write_files as write_network
    from benchmarks.detection_parts import smooth_image
    from yolov3.annotations import Record
    from yolov3.images import write_image
    from yolov3.tensorflow_backend import open_network

    folder, records = Path(args.write), []
    write_network(folder, 80, args.networks[0] == "yolov3-tiny", args.size)
    model, _, config, names, _, _ = open_network(folder / WEIGHTS)
    for index in range(CALIBRATION):
        records.append(Record(str(folder / f"{index}.png"), None, None, index))
        write_image(records[-1].image_path, smooth_image((args.size, args.size), index))
    about = {"network": config.network, "class_names": names, "anchors": config.anchors}
    about |= {"strides": config.strides, "input_size_hw": [args.size] * 2, "dynamic": False}
    about |= {"score_threshold": 0.3, "iou_threshold": 0.45}
    for kind in args.formats:
        (folder / kind).mkdir()
        for precision in args.precisions:
            if (kind, precision) != ("saved_model", "int8"):
                own = about | {"precision": precision}
                export.write(kind, model, folder / kind, own, False, records)
    serve(None)
    return 0


def serve_file(path, precision, size) -> int:
    """Be an engine that runs a file about half a second at a time."""
    from yolov3.exported import needs_tensorflow

    if needs_tensorflow(path):
        import_tensorflow(frozen_weights=True)
    from yolov3.detection import open_backend

    backend = open_backend(path, precision=precision)
    images = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)

    def run():
        return list(map(np.asarray, backend.run(images)))

    for _ in range(WARM_UPS):
        started = time.perf_counter()
        run()
        seconds = time.perf_counter() - started
    runs = min(MOST_RUNS, max(1, round(TURN_SECONDS / seconds)))
    megabytes = export.file_megabytes(Path(path))
    facts = {"runs": runs, "precision": backend.precision, "file_megabytes": megabytes}
    serve(lambda: [run() for _ in range(runs)], **facts)
    return 0


if __name__ == "__main__":
    run_script(main)
