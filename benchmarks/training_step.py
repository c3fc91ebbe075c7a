"""Time one training step: this repository, PyTorch, and the step as tutorials write it.

    python benchmarks/training_step.py            416 px, batch 4, the precision that train.py takes
    python benchmarks/training_step.py --tiny --sizes 224 320 416
    python benchmarks/training_step.py --quick    a small input, few rounds: does it run?

Darknet-53 or YOLOv3-tiny with 10 classes, the same loss, on a fixed random batch. PyTorch needs
benchmarks/requirements.txt. A matrix product takes its turn as well: the share of its rate that a
step reaches counts the convolutions alone, forward and backward. "Reading" is measured afterwards:
its input pipeline would work on while the others have their turns.
"""

import argparse
from importlib.util import find_spec

from benchmarks.timing import Engine, cores, machine, print_table, ratio, serve, take_turns
from yolov3.cli.run import run_script

ENGINES = {
    "repository": "this repository",
    "pytorch": "PyTorch",
    "compiled_pytorch": "PyTorch, compiled",  # takes two minutes and a C++ compiler
    "tutorial": "the tutorial's way",
    "reading": "this repository, reading",  # after all others
}
BY_DEFAULT = ("repository", "pytorch", "tutorial", "reading")
READING, MATRIX, WARM_UPS = "reading", "matrix", 2


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="YOLOv3-tiny instead of YOLOv3")
    parser.add_argument("--sizes", nargs="+", type=int, default=[416], help="input sizes in pixels")
    parser.add_argument("--batch", type=int, default=4, help="images per step")
    parser.add_argument("--rounds", type=int, default=5, help="steps per engine")
    parser.add_argument(
        "--precision", default="auto", help="auto, float32, bfloat16 (the tutorial's is float32)"
    )
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=BY_DEFAULT)
    parser.add_argument("--quick", action="store_true", help="96 px, batch 1, 2 rounds")
    parser.add_argument("--serve", choices=[*ENGINES, MATRIX], help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.quick:
        args.sizes, args.batch, args.rounds = [96], 1, 2
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    if args.serve:
        return serve_engine(args)
    if not find_spec("torch"):
        print("PyTorch is not installed: pip install -r benchmarks/requirements.txt")
        args.engines = [name for name in args.engines if "pytorch" not in name]
    for size in args.sizes:
        print_results(*measure(size, args), size, args)
    return 0


def measure(size, args):
    """Return the `Times` of the engines at an input size, and those of matrix products."""
    engines, precision = [], args.precision
    for name in args.engines:
        if name != READING:
            engines.append(start_engine(name, size, precision, args))
        if name == "repository":
            precision = engines[-1].facts["precision"]  # what "auto" means here
    precisions = dict.fromkeys(engine.facts["precision"] for engine in engines) or [precision]
    products = [start_engine(MATRIX, size, precision, args) for precision in precisions]
    times = take_turns([*engines, *products], args.rounds)
    results, products = times[: len(engines)], times[len(engines) :]
    if READING in args.engines:
        results += take_turns([start_engine(READING, size, precision, args)], args.rounds)
    return results, products


def start_engine(name, size, precision, args) -> Engine:
    flags = {"serve": name, "sizes": size, "batch": args.batch, "precision": precision}
    flags = [part for flag, value in flags.items() for part in (f"--{flag}", str(value))]
    return Engine(ENGINES.get(name, name), [__file__, *flags, *["--tiny"] * args.tiny])


def serve_engine(args) -> int:
    from benchmarks import step_engines

    make = getattr(step_engines, args.serve)
    step, facts = make(*args.sizes, args.batch, args.precision, args.tiny)
    for _ in range(WARM_UPS):
        step()
    serve(step, **facts)
    return 0


def print_results(results, products, size, args) -> None:
    rates = {
        times.facts["precision"]: times.facts["gigaflops"] / times.median for times in products
    }
    work = products[0].facts["gigaflops_of_step"]
    rows = [
        [
            times.name,
            times.facts["precision"],
            f"{times.median:.3f}",
            f"{min(times.seconds):.3f}",
            f"{times.cpu_median:.2f}",
            f"{times.cpu_median / times.median / len(cores()):.0%}",
            f"{work / times.median / rates[times.facts['precision']]:.0%}",
            f"{ratio(results[0], times):.2f}",
            times.facts["versions"],
        ]
        for times in results
    ]
    network = "YOLOv3-tiny" if args.tiny else "YOLOv3"
    title = f"Training step of {network}, {size} px, batch {args.batch}, median of {args.rounds}"
    header = ["engine", "precision", "seconds", "fastest", "CPU seconds", "of the cores"]
    header += ["of the matrix rate", f"{results[0].name} / it", "versions"]
    print_table(title, header, rows)
    texts = [f"{rate:.0f} GFLOP/s in {precision}" for precision, rate in rates.items()]
    print(f"\nMatrix rate: {', '.join(texts)}; a step: {work:.0f} GFLOP. {machine()}", flush=True)


if __name__ == "__main__":
    run_script(main)
