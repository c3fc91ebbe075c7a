"""Time the 3 x 3 convolutions of training, with their gradients: Keras's, and ours.

    python benchmarks/convolutions.py
    ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/convolutions.py

The second line measures as on a CPU without AVX-512. Both kinds take turns. Ours is that of
`yolov3.kernels.convolution`, which also says which layers are trained with it.
"""

import argparse
import os
import statistics
import time

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # a GPU has its own
from benchmarks.timing import machine, print_table, versions
from yolov3.cli.run import import_tensorflow, run_script

# Channels, filters, stride, cells of the grid at 416 px, layers in YOLOv3 and in YOLOv3-tiny.
SHAPES = [
    (16, 32, 1, 208, 0, 1),
    (32, 64, 2, 208, 1, 0),
    (32, 64, 1, 208, 1, 0),
    (32, 64, 1, 104, 0, 1),
    (64, 128, 2, 104, 1, 0),
    (64, 128, 1, 104, 2, 0),
    (64, 128, 1, 52, 0, 1),
    (128, 256, 2, 52, 1, 0),
    (128, 256, 1, 52, 11, 0),
    (128, 256, 1, 26, 0, 1),
    (384, 256, 1, 26, 0, 1),
    (256, 512, 2, 26, 1, 0),
    (256, 512, 1, 26, 11, 0),
    (256, 512, 1, 13, 0, 2),
    (512, 1024, 2, 13, 1, 0),
    (512, 1024, 1, 13, 7, 1),
]
PRECISIONS = ("float32", "bfloat16")


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=4, help="images per step")
    parser.add_argument("--rounds", type=int, default=10, help="runs of each kind")
    parser.add_argument("--size", type=int, default=416, help="input size, pixels")
    parser.add_argument(
        "--precision", choices=PRECISIONS, help="default: float32, and the fastest of this hardware"
    )
    parser.add_argument("--quick", action="store_true", help="1 round at 64 px")
    args = parser.parse_args(argv)
    if args.quick:
        args.rounds, args.size = 1, 64
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    import_tensorflow()
    from yolov3.kernels.hardware import choose_precision

    precisions = [args.precision] if args.precision else ["float32", choose_precision("auto")]
    header = ["channels", "stride", "grid", "in YOLOv3", "in tiny", "Keras's, ms", "ours, ms"]
    for precision in dict.fromkeys(precisions):
        rows = []
        for channels, filters, stride, cells, *counts in SHAPES:
            cells = cells * args.size // 416
            keras_s, ours, used = seconds(channels, filters, stride, cells, precision, args)
            kind = [f"{channels} to {filters:,}", str(stride), f"{cells} x {cells}"]
            times = [f"{1e3 * keras_s:.1f}", f"{1e3 * ours:.1f}", f"{ours / keras_s:.2f}"]
            rows.append([*kind, *map(str, counts), *times, "yes" if used else "no"])
        title = f"3 x 3 convolution and its gradients in {precision}, batch {args.batch}"
        print_table(title, [*header, "ratio", "used"], rows)
    print(f"\n{machine()}; {versions('tensorflow')}")
    return 0


def seconds(channels, filters, stride, cells, precision, args) -> tuple[float, float, bool]:
    """Return the median seconds of both layers, which took turns, and whether ours is used."""
    import tensorflow as tf
    from keras import layers

    from yolov3.kernels import convolution
    from yolov3.kernels.hardware import POLICIES

    dtype = POLICIES[precision]
    edge = 1 if stride == 2 else 0  # the network pads one line before these
    shape = [args.batch, *[cells * stride + edge] * 2, channels]
    inputs = tf.cast(tf.random.normal(shape), precision)
    upstream = tf.cast(tf.random.normal([args.batch, cells, cells, filters]), precision)

    def graph_of(kind):
        padding = "valid" if edge else "same"
        layer = kind(filters, 3, stride, padding, use_bias=False, dtype=dtype)
        layer.build(shape)

        def graph():
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                outputs = layer(inputs)
            watched = [inputs, layer.kernel.value]
            return outputs, *tape.gradient(outputs, watched, output_gradients=upstream)

        return layer, tf.function(graph).get_concrete_function()

    made = [graph_of(kind) for kind in (layers.Conv2D, convolution.TrainingConv2D)]
    times = {graph: [] for _, graph in made}
    for _ in range(args.rounds + 1):  # the first one compiles
        for graph, taken in times.items():
            started = time.perf_counter()
            for result in graph():
                result[0, 0, 0, 0].numpy()
            taken.append(time.perf_counter() - started)
    used = convolution.suits(made[0][0], dtype)
    return *(statistics.median(taken[1:]) for taken in times.values()), used


if __name__ == "__main__":
    run_script(main)
