"""Time the input pipeline alone: images per second and core, first batch, memory over epochs.

    python benchmarks/input_pipeline.py
    python benchmarks/input_pipeline.py --quick
    python benchmarks/input_pipeline.py --annotations data/bccd_train.txt     on images of your own

Scenes of 416 px, or other images, are read, augmented with everything at once, letterboxed and
batched, as in training. One core is compared with all cores that this process may use.
"""

import argparse
import itertools
import os
import tempfile
import time

from benchmarks.timing import (
    Engine,
    cores,
    machine,
    print_table,
    serve,
    take_turns,
    versions,
)
from yolov3.cli.run import import_tensorflow, run_script

SIZE, BATCH, SCENES = 416, 4, 200


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passes", type=int, default=8, help=f"passes of {SCENES} images")
    parser.add_argument("--annotations", help="an annotation file in place of scenes")
    parser.add_argument("--quick", action="store_true", help="3 passes")
    parser.add_argument(
        "--serve", nargs=2, metavar=("ANNOTATIONS", "CORES"), help=argparse.SUPPRESS
    )
    args = parser.parse_args(argv)
    if args.quick:
        args.passes = 3
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    if args.serve:
        return serve_pipeline(args.serve[0], int(args.serve[1]))
    from benchmarks.scenes import write_scenes

    with tempfile.TemporaryDirectory() as folder:
        annotations = args.annotations or write_scenes(folder, SCENES, SIZE)
        results = take_turns([engine(count, annotations) for count in core_counts()], args.passes)
    print_results(results, args.passes)
    return 0


def core_counts() -> list[int]:
    """Return 1 and all, or only all where a process cannot choose its cores."""
    return sorted({1, len(cores())}) if hasattr(os, "sched_setaffinity") else [len(cores())]


def engine(count: int, annotations) -> Engine:
    return Engine(str(count), [__file__, "--serve", str(annotations), str(count)])


def serve_pipeline(annotations: str, count: int) -> int:
    """Be the engine on `count` cores: a pass of SCENES images whenever asked."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores()[:count])  # before TensorFlow counts them
    import_tensorflow()
    from benchmarks.scenes import scene_batches

    steps, passes = SCENES // BATCH, itertools.count()

    def batches(number):
        first = number * steps
        return scene_batches(annotations, BATCH, SIZE, (first, first + steps))

    started = time.perf_counter()
    next(iter(batches(next(passes))))
    first_batch = time.perf_counter() - started
    serve(lambda: sum(1 for _ in batches(next(passes))), first_batch=first_batch)
    return 0


def print_results(results, passes) -> None:
    rows = []
    for times in results:
        per_second, count = SCENES / times.median, int(times.name)
        memory = times.megabytes
        rows.append(
            [
                times.name,
                f"{per_second:.0f}",
                f"{per_second / count:.0f}",
                f"{SCENES / times.cpu_median:.0f}",
                f"{times.facts['first_batch']:.2f}",
                f"{memory[0]:.0f}, {memory[-1]:.0f}",
            ]
        )
    header = ["cores", "images/s", "per core", "per CPU second", "first batch, s"]
    header.append(f"MB after pass 1, {passes}")
    print_table(f"Input pipeline, {SIZE} px, all augmentations, median of {passes}", header, rows)
    print(f"\n{machine()}; {versions('tensorflow', 'opencv-python', 'numpy')}")


if __name__ == "__main__":
    run_script(main)
