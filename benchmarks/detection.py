"""Time detection on a CPU: this repository, OpenVINO, ONNX Runtime, OpenCV and PyTorch.

    python benchmarks/detection.py            YOLOv3 at 416 px, one image at a time
    python benchmarks/detection.py --all      YOLOv3-tiny, batches of 8, compiled PyTorch as well
    python benchmarks/detection.py --quick    YOLOv3-tiny, few rounds
    python benchmarks/detection.py --engines repository openvino --networks yolov3-tiny

All run the same random weights, and where their raw maps disagree the script fails. Then, for
this repository, what surrounds the network: reading, letterbox, NMS, boxes back; traces
and memory over images of many sizes. The other engines need benchmarks/requirements.txt.
"""

import argparse
import os
import sys
import tempfile
import time
from importlib.util import find_spec

from benchmarks.detection_tables import print_engines, print_parts
from benchmarks.timing import LIMIT, Engine, machine, serve, take_turns
from yolov3.cli.run import FAILED, import_tensorflow, run_script

ENGINES = {  # name for people, modules
    "repository": ("this repository", ["tensorflow"]),
    "openvino": ("OpenVINO", ["openvino", "onnx"]),
    "onnxruntime": ("ONNX Runtime", ["onnxruntime", "onnx"]),
    "opencv": ("OpenCV DNN", ["cv2", "onnx"]),
    "pytorch": ("PyTorch", ["torch"]),
    "compiled_pytorch": ("PyTorch, compiled", ["torch"]),
}
WITHOUT_LIMIT = "onnxruntime"  # no setting keeps it from the CPU's best instructions
IN_FLOAT32_ALONE = ("onnxruntime", "opencv")  # on CPUs
NETWORKS = ("yolov3", "yolov3-tiny")
SLOW = "compiled_pytorch"  # takes a minute and a C++ compiler
# Of raw maps, in their standard deviations; bfloat16 keeps 8 bits of every number.
TOLERANCES = {"float32": 1e-3, "bfloat16": 0.2}
WARM_UPS, TURN_SECONDS, MOST_RUNS = 2, 0.5, 50
ON_CPU = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["yolov3"])
    parser.add_argument("--size", type=int, default=416, help="input size in pixels")
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--batches", nargs="+", type=int, default=[1], help="images at once")
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=TOLERANCES,
        help="default: float32, and bfloat16 where the CPU multiplies it",
    )
    quick_to_start = [name for name in ENGINES if name != SLOW]
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=quick_to_start)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each engine")
    parser.add_argument("--images", type=int, default=60, help="for traces and memory")
    parser.add_argument("--all", action="store_true", help="networks, batches 1 and 8, engines")
    parser.add_argument("--quick", action="store_true", help="YOLOv3-tiny, 3 rounds, 40 images")
    parser.add_argument("--serve", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.all:
        args.networks, args.batches, args.engines = NETWORKS, [1, 8], list(ENGINES)
    if args.quick:
        args.networks, args.rounds, args.images = ["yolov3-tiny"], 3, 40
    if args.precisions is None:
        is_limited = LIMIT in os.environ
        args.precisions = ["float32"] + ["bfloat16"] * ("bf16" in machine() and not is_limited)
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    if args.serve:
        return serve_child(args, *args.serve)
    args.engines = comparable(args.engines)
    for network in args.networks:
        with tempfile.TemporaryDirectory() as folder:
            start("files", folder, network, args).close()
            for precision in args.precisions:
                for batch in args.batches:
                    if not compare(folder, network, precision, batch, args):
                        print("failed: raw maps differ, so the times say nothing", file=sys.stderr)
                        return FAILED
                parts = start("parts", folder, network, args, precision)
                parts.close()
                print_parts(f"{network}, {precision}: one image", parts.facts, args.images)
    print(f"\n{machine()}")
    return 0


def comparable(names) -> list[str]:
    """Return the engines that can be compared here, and say which cannot."""
    missing = {module for name in names for module in ENGINES[name][1] if not find_spec(module)}
    if missing:
        print(f"Not installed: {', '.join(sorted(missing))}; see benchmarks/requirements.txt")
    names = [name for name in names if missing.isdisjoint(ENGINES[name][1])]
    if LIMIT in os.environ and WITHOUT_LIMIT in names:
        print(f"{ENGINES[WITHOUT_LIMIT][0]} is left out: no setting limits its instructions")
        names.remove(WITHOUT_LIMIT)
    return names


def start(what, folder, network, args, precision="float32", batch=1) -> Engine:
    """Start this script as a child that does one thing: see `serve_child`."""
    flags = [f"--{name}={getattr(args, name)}" for name in ("size", "classes", "rounds", "images")]
    words = [what, folder, network, precision, str(batch)]
    return Engine(ENGINES.get(what, [what])[0], [__file__, *flags, "--serve", *words], ON_CPU)


def serve_child(args, what, folder, network, precision, batch) -> int:
    """Write the files, measure the parts around the network, or be an engine."""
    if what in ("files", "parts", "repository"):
        import_tensorflow(frozen_weights=what != "files")
    if what == "files":
        from benchmarks.detection_files import write_files

        write_files(folder, args.classes, network == "yolov3-tiny", args.size)
        serve(None)
    elif what == "parts":
        from benchmarks.detection_parts import measure_parts

        serve(None, **measure_parts(folder, args.size, args.rounds, args.images, precision))
    else:
        serve_engine(what, folder, precision, int(batch))
    return 0


def serve_engine(name, folder, precision, batch) -> None:
    """Be an engine that runs about half a second at a time."""
    import numpy as np

    from benchmarks import detection_engines

    image, expected = detection_engines.read_expected(folder)
    images = np.repeat(image, batch, axis=0)
    run, versions = getattr(detection_engines, name)(folder, images, precision)
    error = detection_engines.error_of(run(), expected)
    for _ in range(WARM_UPS):
        started = time.perf_counter()
        run()
        seconds = time.perf_counter() - started
    runs = min(MOST_RUNS, max(1, round(TURN_SECONDS / seconds)))
    serve(lambda: [run() for _ in range(runs)], error=error, runs=runs, versions=versions)


def compare(folder, network, precision, batch, args) -> bool:
    """Time the engines by turns, print a table, and tell whether their raw maps agree."""
    names = [
        name for name in args.engines if precision == "float32" or name not in IN_FLOAT32_ALONE
    ]
    engines = [start(name, folder, network, args, precision, batch) for name in names]
    results = take_turns(engines, args.rounds)
    title = f"{network} at {args.size} px, {precision}, batch {batch}: the network"
    print_engines(title, results, batch)
    return all(times.facts["error"] <= TOLERANCES[precision] for times in results)


if __name__ == "__main__":
    run_script(main)
