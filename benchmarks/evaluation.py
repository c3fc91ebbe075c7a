"""Time the evaluation of images against the network alone on as many.

    python benchmarks/evaluation.py
    python benchmarks/evaluation.py --weights checkpoints
    python benchmarks/evaluation.py --quick

Evaluation reads and letterboxes the images, runs network and NMS, and computes the mAP.
Without --weights the network is an untrained Darknet-53, whose scores are spread over all boxes.
"""

import argparse
import statistics
import tempfile
import time

from benchmarks.timing import machine, print_table, versions
from yolov3.cli.run import import_tensorflow, run_script

BATCH = 8


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", help="a checkpoint or a folder of them")
    parser.add_argument("--tiny", action="store_true", help="an untrained YOLOv3-tiny")
    parser.add_argument("--scenes", type=int, default=100, help="images, default %(default)s")
    parser.add_argument("--rounds", type=int, default=1, help="evaluations, default %(default)s")
    parser.add_argument("--quick", action="store_true", help="16 images, YOLOv3-tiny, once")
    args = parser.parse_args(argv)
    if args.quick:
        args.scenes, args.rounds, args.tiny = 16, 1, True
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    import_tensorflow(frozen_weights=True)  # as evaluate_mAP.py does
    from benchmarks.scenes import NUM_CLASSES, write_scenes
    from yolov3.annotations import read_annotations
    from yolov3.configs import EVAL_SCORE_THRESHOLD
    from yolov3.detection import Detector
    from yolov3.evaluation import evaluate
    from yolov3.yolov3 import build_yolov3

    source = args.weights or build_yolov3(NUM_CLASSES, args.tiny)
    detector = Detector(source, score_threshold=EVAL_SCORE_THRESHOLD)
    with tempfile.TemporaryDirectory() as folder:
        records = read_annotations(write_scenes(folder, args.scenes))
        alone = network_alone(detector)
        parts = {
            "network alone": alone,
            "evaluation": lambda count: evaluate(detector, records[:count], BATCH),
        }
        seconds = take_turns(parts, args.scenes, args.rounds)
    print_results(detector, seconds, args)
    return 0


def network_alone(detector):
    """Return a function that runs the network on a number of blank images, in batches."""
    import tensorflow as tf

    blank = tf.zeros([BATCH, *detector.input_hw, 3])
    network = tf.function(lambda images: detector.backend.network(images, training=False))

    def run(count):
        for start in range(0, count, BATCH):
            network(blank[: count - start])[0][0, 0, 0, 0, 0].numpy()

    return run


def take_turns(parts, scenes, rounds) -> dict[str, tuple[float, float]]:
    """Return the median seconds and CPU seconds of each function, after a warm-up on a batch."""
    clocks = (time.perf_counter, time.process_time)
    taken = {name: [] for name in parts}
    for part in parts.values():
        part(BATCH)
    for _ in range(rounds):
        for name, part in parts.items():
            started = [clock() for clock in clocks]
            part(scenes)
            taken[name].append(
                [clock() - start for clock, start in zip(clocks, started, strict=True)]
            )
    return {
        name: tuple(statistics.median(column) for column in zip(*times, strict=True))
        for name, times in taken.items()
    }


def print_results(detector, seconds, args) -> None:
    alone, cpu_alone = seconds["network alone"]
    rows = []
    for name, (taken, cpu) in seconds.items():
        ratios = [f"{taken / alone:.3f}", f"{cpu / cpu_alone:.3f}"]
        rows.append([name, f"{taken:.2f}", f"{args.scenes / taken:.1f}", f"{cpu:.1f}", *ratios])
    header = ["part", "seconds", "images/s", "CPU seconds"]
    header += ["seconds to network alone", "CPU seconds to network alone"]
    print_table(f"Evaluation of {args.scenes} images, rounds: {args.rounds}", header, rows)
    print(f"\n{detector.description}; {machine()}; {versions('tensorflow', 'keras')}")


if __name__ == "__main__":
    run_script(main)
