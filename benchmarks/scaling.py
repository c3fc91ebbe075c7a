"""How training scales over workers: measured on this machine, predicted for many GPUs.

    python benchmarks/scaling.py --tiny          1, 2 and 4 workers, one thread each; the prediction
    python benchmarks/scaling.py --quick         small images, few rounds: does it run?
    python benchmarks/scaling.py --predict       the tables for many GPUs alone: seconds
    python benchmarks/scaling.py --predict --figure scaling.png       and draws them

One worker gives the compute of a step, and two what it takes to add up gradients: a latency and a
rate. These predict the step of any number in a ring. Each worker is bound to a core; where several
share one, everything takes as many times as long. Cores slow each other down, so in each row all of
them compute: beside one worker others, that know nothing of it. The machine has to be idle.

The tables for GPUs assume their rate (--gpu-tflops) and their network: they say what a cluster
could reach at most, not what one did.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from statistics import median
from typing import NamedTuple

from benchmarks.timing import MARK, cores, machine, print_table, versions
from tools.launch import free_ports
from yolov3.cli.run import import_tensorflow, run_script

WORKERS = 1, 2, 4
CORES = cores()[: max(WORKERS)]
WARM_UP = 3  # rounds: the first ones build the graphs
SMALL_SUMS = 20  # of one float, one after another: what each takes is latency
SUMS = 2  # in a training step: gradients; statistics with losses
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


def adding_up(parts: Parts, workers: int) -> float:
    """Return the seconds of a step in which the workers add up.

    A ring does it in 2 (N - 1) rounds, in each of which a worker sends an Nth of the gradients.
    Source: Patarasuk and Yuan 2009, "Bandwidth optimal all-reduce algorithms".
    """
    sending = parts.bytes_reduced / workers / parts.bandwidth
    return 2 * (workers - 1) * (sending + SUMS * parts.latency)


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="YOLOv3-tiny instead of YOLOv3")
    parser.add_argument("--size", type=int, default=416, help="input size in pixels")
    parser.add_argument("--batch", type=int, default=4, help="images per worker and step")
    parser.add_argument("--rounds", type=int, default=15, help="steps that are timed")
    parser.add_argument("--quick", action="store_true", help="YOLOv3-tiny, 64 px, 1 or 2 workers")
    parser.add_argument("--predict", action="store_true", help="measure nothing")
    parser.add_argument("--gpu-tflops", type=float, default=50, help="of each GPU, in training")
    parser.add_argument("--figure", metavar="PNG", help="draw the prediction")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.quick:
        args.tiny, args.size, args.batch, args.rounds = True, 64, 1, 2
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    if args.worker:
        work(args, *json.loads(args.worker))
    if not args.predict:
        measured = {count: run_workers(count, args) for count in WORKERS[: 2 if args.quick else 3]}
        print_measured(measured, args)
    for network in NETWORKS:
        print_predicted(network, args.gpu_tflops)
    if args.figure:
        draw_predicted(args.gpu_tflops, args.figure)
    return 0


def run_workers(count: int, args) -> dict[str, float]:
    """Return what the first of so many workers measured, where all cores have something to do."""
    flags = [f"--size={args.size}", f"--batch={args.batch}", f"--rounds={args.rounds}"]
    command = [sys.executable, __file__, *flags, *["--tiny"] * args.tiny, "--worker"]
    places = []
    for _ in range(max(1, len(CORES) // count)):  # clusters side by side
        hosts = [f"127.0.0.1:{port}" for port in free_ports(count)]
        places += [(hosts, index) for index in range(count)]
    processes = [
        subprocess.Popen([*command, json.dumps([*place, CORES[n % len(CORES)]])], stdout=-1)
        for n, place in enumerate(places)
    ]
    said = [process.communicate()[0].decode() for process in processes]
    if any(process.returncode for process in processes):
        raise OSError(f"{count} workers: one of them failed")
    return json.loads(said[0].partition(MARK)[2])


def work(args, hosts: list[str], index: int, core: int) -> None:
    """Be a worker: time steps and sums by turns, and tell the medians."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
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
    weights = [weight.value for weight in train_step.model.trainable_variables]

    @tf.function
    def add_up(times, *parts):
        def of_replica():
            sums, replica = list(map(tf.identity, parts)), tf.distribute.get_replica_context()
            for _ in range(times):
                sums = replica.all_reduce("SUM", sums)
            return sums[0]

        return strategy.run(of_replica)

    works = {"step": lambda: train_step(*next(batches))["total"].numpy()}
    if cluster:
        works["small sums"] = lambda: add_up(SMALL_SUMS, tf.ones(1)).numpy()
        works["gradients"] = lambda: add_up(1, *weights).numpy()
    seconds = {name: [] for name in works}
    for _ in range(WARM_UP + args.rounds):
        for name, run in works.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    found = {name: median(times[WARM_UP:]) for name, times in seconds.items()}
    found["bytes"] = sum(4 * weight.shape.num_elements() for weight in weights)
    print(MARK + json.dumps(found), flush=True)
    time.sleep(1)  # others may still fetch their part of the last sum
    os._exit(0)  # TensorFlow might wait for a worker that has gone


def print_measured(measured: dict[int, dict], args) -> None:
    """Print what each number of workers took beside what one and two of them predict."""
    share = {count: min(1.0, len(CORES) / count) for count in measured}
    two = {name: value * share[2] for name, value in measured[2].items()}
    latency = two["small sums"] / SMALL_SUMS / 2  # two workers take two rounds
    rate = measured[2]["bytes"] / max(two["gradients"] - 2 * latency, 1e-9)
    parts = Parts(measured[1]["step"], measured[2]["bytes"], rate, latency)
    rows = []
    for count, times in measured.items():
        compute, adding = parts.compute / share[count], adding_up(parts, count) / share[count]
        seconds = times["step"], compute + adding, compute, adding
        error = (compute + adding) / times["step"] - 1
        rows.append([str(count), *(f"{value:.3f}" for value in seconds), f"{error:+.1%}"])
    print_table(
        f"{'YOLOv3-tiny' if args.tiny else 'YOLOv3'}, {args.size} px, {args.batch} images per "
        f"worker, {len(CORES)} cores with one thread for each worker, float32",
        ["workers", "step, s", "predicted, s", "of it compute", "adding up", "off by"],
        rows,
    )
    print(f"\n{machine()}; {versions('tensorflow')}; loopback {rate / 1e9:.2f} GB/s", end="")
    print(f", {1e3 * latency:.2f} ms per round")


def print_predicted(network: str, tflops: float) -> None:
    """Print the share of its rate alone that each GPU keeps, by network and images per GPU."""
    rows, pays = [], []
    for gigabits in GIGABITS:
        for batch in BATCHES:
            kept = efficiencies(network, tflops, gigabits, batch)
            rows.append([f"{gigabits} Gbit/s", str(batch), *(f"{share:.0%}" for share in kept)])
        parts = parts_of_gpu(network, tflops, gigabits, 1)
        images = adding_up(parts, 2 * GPUS_PER_MACHINE) / parts.compute
        pays.append(f"{images:.0f} with {gigabits} Gbit/s")
    header = ["network", "images per GPU", *(f"{count} GPUs" for count in GPUS)]
    title = f"{network}, 416 px: efficiency, if a GPU reaches {tflops:g} TFLOP/s alone"
    print_table(title, header, rows)
    print(f"\nA second machine pays from this many images per GPU: {', '.join(pays)}.")


def draw_predicted(tflops: float, path: str) -> None:
    """Draw what `print_predicted` prints, a panel for each network."""
    import matplotlib
    from matplotlib.figure import Figure

    from yolov3.plots import BLUE, GREEN, ORANGE, STYLE, save_figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.5))
        panels = figure.subplots(1, len(NETWORKS), sharey=True)
        for axes, network in zip(panels, NETWORKS, strict=True):
            for gigabits, style in zip(GIGABITS, ("o--", "o-"), strict=True):
                for batch, colour in zip(BATCHES, (BLUE, ORANGE, GREEN), strict=True):
                    label = f"{gigabits} Gbit/s, {batch} images per GPU"
                    kept = efficiencies(network, tflops, gigabits, batch)
                    axes.plot(GPUS, kept, style, color=colour, markersize=4.5, label=label)
            axes.set_xscale("log", base=2)
            axes.set_xticks(GPUS, GPUS)
            axes.set(title=network, xlabel="GPUs", ylim=(0, 1.02))
        panels[0].set(ylabel="efficiency")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
        save_figure(figure, path)


def efficiencies(network: str, tflops: float, gigabits: float, batch: int) -> list[float]:
    """Return the share of its rate alone that each of `GPUS` keeps."""
    parts = parts_of_gpu(network, tflops, gigabits, batch)
    # Within a machine adding up takes no time that counts.
    adding = [adding_up(parts, count) if count > GPUS_PER_MACHINE else 0.0 for count in GPUS]
    return [parts.compute / (parts.compute + seconds) for seconds in adding]


def parts_of_gpu(network: str, tflops: float, gigabits: float, batch: int) -> Parts:
    parameters, operations = NETWORKS[network]
    compute, bandwidth = batch * operations / (tflops * 1e12), gigabits * 1e9 / 8
    return Parts(compute, 4 * parameters, bandwidth, NETWORK_LATENCY)


if __name__ == "__main__":
    run_script(main)
