"""Time the kernel gradient of a wide convolution: oneDNN's own, and ours as a matrix product.

    python benchmarks/kernel_gradient.py
    ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/kernel_gradient.py

The second line measures as on a CPU without AVX-512. Both kinds take turns. Ours is what
`yolov3.kernels.substitute` does where no GPU is in the machine.
"""

import argparse
import statistics
import time

from benchmarks.timing import machine, print_table, versions
from yolov3.cli.run import import_tensorflow, run_script

KERNEL = (3, 3, 512, 1024)  # that of most weights in Darknet-53: height, width, inputs, filters
INPUT_SIZES, STRIDE = (224, 416), 32  # pixels
PRECISIONS = ("float32", "bfloat16")


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=4, help="images per step")
    parser.add_argument("--rounds", type=int, default=20, help="gradients of each kind")
    parser.add_argument(
        "--precision", choices=PRECISIONS, help="default: float32, and the fastest of this hardware"
    )
    parser.add_argument("--quick", action="store_true", help="3 rounds")
    args = parser.parse_args(argv)
    if args.quick:
        args.rounds = 3
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    import_tensorflow()
    from yolov3.kernels.hardware import choose_precision

    precisions = [args.precision] if args.precision else ["float32", choose_precision("auto")]
    rows = []
    for precision in dict.fromkeys(precisions):
        for size in INPUT_SIZES:
            grid = size // STRIDE
            medians = [f"{1e3 * s:.1f}" for s in seconds(grid, args.batch, precision, args.rounds)]
            rows.append([f"{grid} x {grid}", precision, *medians])
    height, width, inputs, filters = KERNEL
    title = f"Kernel gradient, {height} x {width}, {inputs} to {filters:,} channels, batch "
    header = ["grid", "precision", "oneDNN's, ms", "the product, ms"]
    print_table(title + str(args.batch), header, rows)
    print(f"\n{machine()}; {versions('tensorflow')}")
    return 0


def seconds(grid: int, batch: int, precision: str, rounds: int) -> list[float]:
    """Return the median seconds of oneDNN's gradient and of ours, which took turns."""
    import tensorflow as tf

    from yolov3.kernels.substitute import kernel_gradient

    def of_onednn(inputs, upstream):
        return tf.raw_ops.Conv2DBackpropFilter(
            input=inputs,
            filter_sizes=KERNEL,
            out_backprop=upstream,
            strides=[1, 1, 1, 1],
            padding="SAME",
        )

    def of_ours(inputs, upstream):
        return kernel_gradient(inputs, upstream, stride=1, padding="SAME")

    inputs, upstream = (
        tf.cast(tf.random.normal([batch, grid, grid, channels]), precision)
        for channels in KERNEL[2:]
    )
    times = {tf.function(gradient): [] for gradient in (of_onednn, of_ours)}
    for _ in range(rounds + 1):  # the first one compiles
        for gradient, taken in times.items():
            started = time.perf_counter()
            gradient(inputs, upstream)[0, 0, 0, 0].numpy()  # waits for a GPU, too
            taken.append(time.perf_counter() - started)
    return [statistics.median(taken[1:]) for taken in times.values()]


if __name__ == "__main__":
    run_script(main)
