"""Time one training step: this repository, PyTorch, and the step as tutorials write it.

    python benchmarks/training_step.py            416 px, batch 4, the precision that train.py takes
    python benchmarks/training_step.py --quick    a small input, few rounds: does it run?

Darknet-53 with 10 classes, the same loss, on a fixed random batch. PyTorch needs
benchmarks/requirements.txt.
"""

import argparse
from importlib.util import find_spec

from benchmarks.timing import Engine, machine, print_table, ratio, serve, take_turns
from yolov3.cli.run import run_script

ENGINES = {
    "repository": "this repository",
    "pytorch": "PyTorch",
    "compiled_pytorch": "PyTorch, compiled",  # takes two minutes and a C++ compiler
    "tutorial": "the tutorial's way",
}
BY_DEFAULT = ("repository", "pytorch", "tutorial")
WARM_UPS = 2


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=416, help="input size in pixels")
    parser.add_argument("--batch", type=int, default=4, help="images per step")
    parser.add_argument("--rounds", type=int, default=5, help="steps per engine")
    parser.add_argument(
        "--precision", default="auto", help="auto, float32, bfloat16 (the tutorial's is float32)"
    )
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=BY_DEFAULT)
    parser.add_argument("--quick", action="store_true", help="96 px, batch 1, 2 rounds")
    parser.add_argument("--serve", choices=ENGINES, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.quick:
        args.size, args.batch, args.rounds = 96, 1, 2
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    if args.serve:
        return serve_engine(args)
    engines, precision = [], args.precision
    for name in args.engines:
        if "pytorch" in name and not find_spec("torch"):
            print("PyTorch is not installed: pip install -r benchmarks/requirements.txt")
            continue
        engines.append(start_engine(name, args, precision))
        if name == "repository":
            precision = engines[-1].facts["precision"]  # what "auto" means here
    print_results(take_turns(engines, args.rounds), args)
    return 0


def start_engine(name, args, precision) -> Engine:
    flags = {"serve": name, "size": args.size, "batch": args.batch, "precision": precision}
    flags = [part for flag, value in flags.items() for part in (f"--{flag}", str(value))]
    return Engine(ENGINES[name], [__file__, *flags])


def serve_engine(args) -> int:
    from benchmarks import step_engines

    make = getattr(step_engines, args.serve)
    step, facts = make(args.size, args.batch, args.precision)
    for _ in range(WARM_UPS):
        step()
    serve(step, **facts)
    return 0


def print_results(results, args) -> None:
    rows = [
        [
            times.name,
            times.facts["precision"],
            f"{times.median:.3f}",
            f"{min(times.seconds):.3f}",
            f"{times.cpu_median:.2f}",
            f"{ratio(results[0], times):.2f}",
            times.facts["versions"],
        ]
        for times in results
    ]
    title = f"Training step, {args.size} px, batch {args.batch}, median of {args.rounds} in turns"
    header = ["engine", "precision", "seconds", "fastest", "CPU seconds"]
    print_table(title, [*header, f"{results[0].name} / it", "versions"], rows)
    print(f"\n{machine()}")


if __name__ == "__main__":
    run_script(main)
