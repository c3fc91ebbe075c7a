"""How training scales over workers: measured on this machine, predicted for many GPUs.

    python benchmarks/scaling.py --tiny          1, 2 and 4 workers, one thread each; the prediction
    python benchmarks/scaling.py --quick         small images, few rounds: does it run?
    python benchmarks/scaling.py --predict       the tables for many GPUs alone: seconds

One worker gives the compute of a step, and two what it takes to add up gradients: a latency and a
rate. These predict the step of any number in a ring. Where workers share cores, all parts take
longer by that share. The tables for GPUs assume their rate (--gpu-tflops) and their network: they
say what a cluster could reach at most, not what one did.
"""

import argparse
import json
import subprocess
import sys
import time
from statistics import median
from typing import NamedTuple

from benchmarks.timing import MARK, cores, machine, print_table, versions
from tools.launch import free_ports
from yolov3.cli.run import import_tensorflow, run_script

WORKERS = 1, 2, 4
SMALL = 1  # floats, whose sum takes the latency alone
GPUS, GPUS_PER_MACHINE = (8, 16, 32, 64, 128, 256), 8
GIGABITS, NETWORK_LATENCY = (10, 100), 50e-6  # per second; seconds per round, as of TCP
# Parameters, and floating-point operations to learn from an image of 416 px: three times those of
# detection. Source: https://pjreddie.com/darknet/yolo (65.86 and 5.56 billion).
NETWORKS = {"YOLOv3": (61.6e6, 3 * 65.86e9), "YOLOv3-tiny": (8.7e6, 3 * 5.56e9)}
BATCHES = 2, 8, 32  # images per GPU


class Parts(NamedTuple):
    """What the time of a step consists of."""

    compute: float  # seconds, of a worker with a core of its own
    bytes_reduced: float  # of the gradients
    bandwidth: float  # bytes per second of each worker, in and out at once
    latency: float  # seconds of each round


def predicted_step(parts: Parts, workers: int, share: float = 1.0) -> float:
    """Return the seconds of a step in which each of the workers has this share of a core.

    A ring adds up in 2 (N - 1) rounds, in each of which a worker sends an Nth of the gradients.
    Source: Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce algorithms".
    """
    rounds = 2 * (workers - 1)
    reducing = rounds * (parts.bytes_reduced / workers / parts.bandwidth + parts.latency)
    return (parts.compute + reducing) / share


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="YOLOv3-tiny instead of YOLOv3")
    parser.add_argument("--size", type=int, default=416, help="input size in pixels")
    parser.add_argument("--batch", type=int, default=4, help="images per worker and step")
    parser.add_argument("--rounds", type=int, default=7, help="steps that are timed")
    parser.add_argument("--quick", action="store_true", help="YOLOv3-tiny, 64 px, 1 or 2 workers")
    parser.add_argument("--predict", action="store_true", help="measure nothing")
    parser.add_argument("--gpu-tflops", type=float, default=50, help="of each GPU, in training")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.quick:
        args.tiny, args.size, args.batch, args.rounds = True, 64, 1, 2
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    if args.worker:
        return work(args, *json.loads(args.worker))
    if not args.predict:
        measured = {count: run_workers(count, args) for count in WORKERS[: 2 if args.quick else 3]}
        print_measured(measured, args)
    for network in NETWORKS:
        print_predicted(network, args.gpu_tflops)
    return 0


def run_workers(count: int, args) -> dict[str, float]:
    """Return the seconds of a step and of two sums of so many workers, as the first tells."""
    hosts = [f"127.0.0.1:{port}" for port in free_ports(count)]
    flags = [f"--size={args.size}", f"--batch={args.batch}", f"--rounds={args.rounds}"]
    command = [sys.executable, __file__, *flags, *["--tiny"] * args.tiny]
    processes = [
        subprocess.Popen([*command, "--worker", json.dumps([hosts, index])], stdout=subprocess.PIPE)
        for index in range(count)
    ]
    said = [process.communicate()[0].decode() for process in processes]
    if any(process.returncode for process in processes):
        raise OSError(f"{count} workers: one of them failed")
    return json.loads(said[0].partition(MARK)[2])


def work(args, hosts: list[str], index: int) -> int:
    """Be a worker: time steps and sums, and tell the medians."""
    import_tensorflow()
    import numpy as np
    import tensorflow as tf

    from yolov3.configs import Config
    from yolov3.runs.cluster import Cluster
    from yolov3.runs.distribution import distribute_batches, distribution_strategy
    from yolov3.train_step import TrainStep

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    cluster = Cluster(tuple(hosts), index) if len(hosts) > 1 else None
    strategy = distribution_strategy(args.batch * len(hosts), cluster)
    with strategy.scope():
        train_step = TrainStep(Config(tiny=args.tiny), 10, 10, "float32")
    rng = np.random.default_rng(index)
    images = rng.integers(0, 256, (args.batch, args.size, args.size, 3), np.uint8)
    boxes = np.tile(np.float32([8, 8, 40, 48]), (args.batch, 2, 1))
    data = tf.data.Dataset.from_tensors((images, boxes, np.zeros((args.batch, 2), np.int32)))
    batches = iter(distribute_batches(strategy, lambda share: data.repeat()))
    floats = sum(weight.shape.num_elements() for weight in train_step.model.trainable_variables)

    @tf.function
    def add_up(number):
        def of_replica():
            context = tf.distribute.get_replica_context()
            return tf.reduce_max(context.all_reduce("SUM", tf.fill([number], tf.constant(1.0))))

        return strategy.reduce("MEAN", strategy.run(of_replica), axis=None)

    def seconds(function):
        times = []
        for _ in range(args.rounds + 2):  # the first ones build the graph
            started = time.perf_counter()
            function()
            times.append(time.perf_counter() - started)
        return median(times[2:])

    measured = {"step": seconds(lambda: train_step(*next(batches))["total"].numpy())}
    for name, number in (("gradients", floats), ("latency", SMALL)):
        is_many = len(hosts) > 1
        measured[name] = seconds(lambda n=number: add_up(n).numpy()) if is_many else 0.0
    print(MARK + json.dumps({**measured, "bytes": 4 * floats}), flush=True)
    return 0


def print_measured(measured: dict[int, dict], args) -> None:
    """Print what each number of workers took beside what one and two of them predict."""
    share = {count: min(1.0, len(cores()) / count) for count in measured}
    one, two = measured[1], measured[2]
    latency = two["latency"] / 2 * share[2]  # two workers take two rounds
    rate = two["bytes"] / max((two["gradients"] - two["latency"]) * share[2], 1e-9)
    parts = Parts(one["step"], one["bytes"], rate, latency)
    rows = []
    for count, times in measured.items():
        predicted = predicted_step(parts, count, share[count])
        seconds = f"{times['step']:.3f}", f"{times['gradients']:.3f}", f"{predicted:.3f}"
        rows.append([str(count), *seconds, f"{predicted / times['step'] - 1:+.0%}"])
    name = "YOLOv3-tiny" if args.tiny else "YOLOv3"
    print_table(
        f"{name}, {args.size} px, {args.batch} images per worker, one thread each, float32",
        ["workers", "step, s", "adding up gradients, s", "predicted step, s", "off by"],
        rows,
    )
    print(f"\n{machine()}; {versions('tensorflow')}; loopback {rate / 1e9:.2f} GB/s", end="")
    print(f", {1e3 * latency:.1f} ms per round")


def print_predicted(network: str, tflops: float) -> None:
    """Print the share of its rate alone that each GPU keeps, by network and images per GPU."""
    parameters, operations = NETWORKS[network]
    seconds_per_image = operations / (tflops * 1e12)
    rows, pays = [], []
    for gigabits in GIGABITS:
        bandwidth = gigabits * 1e9 / 8
        for batch in BATCHES:
            compute = batch * seconds_per_image
            parts = Parts(compute, 4 * parameters, bandwidth, NETWORK_LATENCY)
            kept = [compute / step_of_gpus(parts, count) for count in GPUS]
            rows.append([f"{gigabits} Gbit/s", str(batch), *(f"{share:.0%}" for share in kept)])
        added = step_of_gpus(parts, 2 * GPUS_PER_MACHINE) - compute
        pays.append(f"{added / seconds_per_image:.0f} with {gigabits} Gbit/s")
    header = ["network", "images per GPU", *(f"{count} GPUs" for count in GPUS)]
    title = f"{network}, 416 px: efficiency, if a GPU reaches {tflops:g} TFLOP/s alone"
    print_table(title, header, rows)
    print(f"\nA second machine pays from this many images per GPU: {', '.join(pays)}.")


def step_of_gpus(parts: Parts, gpus: int) -> float:
    """Return the seconds of a step; within a machine, adding up takes none that counts."""
    return predicted_step(parts, gpus) if gpus > GPUS_PER_MACHINE else parts.compute


if __name__ == "__main__":
    run_script(main)
