"""Time the 3 x 3 convolutions of detection in float32: Keras's, and Winograd's with fewer products.

    python benchmarks/winograd.py
    ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/winograd.py

The second line measures as on a CPU without AVX-512. Both kinds take turns, four layers with
weights of their own each, so that the kernels come from memory as they do in a network.
`yolov3.kernels.winograd` has the second kind, and says which layers are of it.
"""

import argparse
import os
import statistics
import time

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # a GPU has its own
from benchmarks.timing import machine, print_table, versions
from yolov3.cli.run import import_tensorflow, run_script

# Channels, filters, cells of the grid at 416 px, layers in YOLOv3 and in YOLOv3-tiny.
SHAPES = [
    (64, 128, 104, 2, 0),
    (64, 128, 52, 0, 1),
    (128, 256, 52, 11, 0),
    (128, 256, 26, 0, 1),
    (384, 256, 26, 0, 1),
    (256, 512, 26, 11, 0),
    (256, 512, 13, 0, 2),
    (512, 1024, 13, 7, 1),
]
LAYERS = 4  # of each shape, one after another


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=1, help="images at once")
    parser.add_argument("--rounds", type=int, default=15, help="runs of each kind")
    parser.add_argument("--quick", action="store_true", help="2 rounds")
    args = parser.parse_args(argv)
    if args.quick:
        args.rounds = 2
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    import_tensorflow(frozen_weights=True)
    rows = []
    for channels, filters, cells, *counts in SHAPES:
        keras_s, winograd_s = seconds(channels, filters, cells, args.batch, args.rounds)
        times = [f"{1e3 * keras_s:.2f}", f"{1e3 * winograd_s:.2f}", f"{winograd_s / keras_s:.2f}"]
        rows.append([f"{channels} to {filters:,}", f"{cells} x {cells}", *map(str, counts), *times])
    title = f"3 x 3 convolution, bias and leaky ReLU in float32, batch {args.batch}"
    header = ["channels", "grid", "in YOLOv3", "in tiny", "Keras's, ms", "Winograd's, ms", "ratio"]
    print_table(title, header, rows)
    print(f"\n{machine()}; {versions('tensorflow')}")
    return 0


def seconds(channels: int, filters: int, cells: int, batch: int, rounds: int) -> list[float]:
    """Return the median seconds per layer of both kinds, which took turns."""
    import tensorflow as tf
    from keras import layers

    from yolov3.kernels.winograd import WinogradConvolution
    from yolov3.yolov3 import LEAKY_SLOPE

    def graph_of(make):
        convolutions = [make() for _ in range(LAYERS)]
        return tf.function(
            lambda x: [
                tf.nn.leaky_relu(layer(x), LEAKY_SLOPE)[0, 0, 0, 0] for layer in convolutions
            ]
        )

    inputs = tf.random.normal([batch, cells, cells, channels])
    graphs = [
        graph_of(lambda: layers.Conv2D(filters, 3, padding="same")),
        graph_of(lambda: WinogradConvolution(filters)),
    ]
    times = {graph: [] for graph in graphs}
    for _ in range(rounds + 1):  # the first one compiles
        for graph, taken in times.items():
            started = time.perf_counter()
            graph(inputs)
            taken.append((time.perf_counter() - started) / LAYERS)
    return [statistics.median(taken[1:]) for taken in times.values()]


if __name__ == "__main__":
    run_script(main)
