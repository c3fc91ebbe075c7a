"""Measure how fast this machine multiplies matrices, and what a training step would take at that.

    python benchmarks/matrix_rate.py
    python benchmarks/matrix_rate.py --quick

The product is written as a convolution with a kernel of 1, which TensorFlow leaves to oneDNN on a
CPU; its own MatMul uses half of what AVX-512 offers. A step multiplies three times what the network
does: forward, and one gradient each for inputs and weights.
"""

import argparse
import statistics
import time

from benchmarks.timing import machine, print_table, versions
from yolov3.cli.run import import_tensorflow, run_script

GRID, CHANNELS = 128, 1024  # (GRID * GRID, CHANNELS) times (CHANNELS, CHANNELS)
PRODUCT_GIGAFLOPS = 2 * GRID**2 * CHANNELS**2 / 1e9
MULTIPLICATIONS_PER_STEP = 3  # of the network's own


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=416, help="input size in pixels")
    parser.add_argument("--batch", type=int, default=4, help="images per step")
    parser.add_argument("--rounds", type=int, default=15, help="products per precision")
    parser.add_argument("--quick", action="store_true", help="3 products")
    args = parser.parse_args(argv)
    if args.quick:
        args.rounds = 3
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    import_tensorflow()
    from yolov3.kernels.hardware import choose_precision

    precisions = ["float32"]
    if choose_precision("auto") != "float32":
        precisions.append(choose_precision("auto"))
    work = {
        name: args.batch * gigaflops(args.size, tiny)
        for name, tiny in (("YOLOv3", False), ("YOLOv3-tiny", True))
    }
    rows = []
    for precision in precisions:
        rate = multiplication_rate(precision, args.rounds)
        bounds = [f"{MULTIPLICATIONS_PER_STEP * flops / rate:.2f}" for flops in work.values()]
        rows.append([precision, f"{rate:.0f}", *bounds])
    steps = [f"step of {name}, s" for name in work]
    rows_by_columns = f"{GRID**2:,} x {CHANNELS:,} by {CHANNELS:,} x {CHANNELS:,}"
    title = f"Matrix rate, {rows_by_columns}; steps at {args.size} px, batch {args.batch}"
    print_table(title, ["precision", "GFLOP/s", *steps], rows)
    print(f"\n{machine()}; {versions('tensorflow')}")
    return 0


def multiplication_rate(precision: str, rounds: int) -> float:
    """Return the median rate of a matrix product in GFLOP/s."""
    run, seconds = product(precision), []
    for _ in range(rounds + 1):  # the first one compiles
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return PRODUCT_GIGAFLOPS / statistics.median(seconds[1:])


def product(precision: str):
    """Return a function that multiplies two large matrices."""
    import tensorflow as tf

    multiply = tf.function(lambda a, b: tf.nn.conv2d(a, b, strides=1, padding="VALID"))
    a = tf.cast(tf.random.normal([1, GRID, GRID, CHANNELS]), precision)
    b = tf.cast(tf.random.normal([1, 1, CHANNELS, CHANNELS]), precision)
    return lambda: multiply(a, b)[0, 0, 0, 0].numpy()  # waits for a GPU, too


def gigaflops(size: int, tiny: bool, num_classes: int = 10) -> float:
    """Return the work of the network's convolutions on one image, two per multiply and add."""
    from yolov3.darknet import network_operations

    return network_operations(tiny, num_classes) * size**2 / 1e9


if __name__ == "__main__":
    run_script(main)
