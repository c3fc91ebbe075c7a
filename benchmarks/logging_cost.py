"""Time what logging takes of a training: of TensorBoard, results.csv and the printed lines.

    python benchmarks/logging_cost.py --tiny --train-epochs 3
    python benchmarks/logging_cost.py --quick      YOLOv3-tiny, one epoch

Flags are those of train.py, whose data are the default: run mnist/make_data.py first. Checkpoints
and log go to a folder that is removed. Steps are those of this machine: the faster they are, the
larger is the share.
"""

import functools
import sys
import tempfile
import time
from collections import Counter

import train
from benchmarks.timing import machine, print_table, versions
from yolov3.cli.run import import_tensorflow, run_script

QUICK = ["--tiny", "--train-epochs", "1"]


def main(argv=None) -> int:
    flags = sys.argv[1:] if argv is None else argv
    import_tensorflow()
    from yolov3.runs import start
    from yolov3.runs.run_logger import RunLogger

    seconds, cpu, calls = Counter(), Counter(), Counter()
    timed(start, "fit", seconds, cpu, calls)
    logs = [name for name in vars(RunLogger) if name.startswith("log_")] + ["flush"]
    for name in logs:
        timed(RunLogger, name, seconds, cpu, calls)
    with tempfile.TemporaryDirectory() as folder:
        folders = ["--train-checkpoints-folder", folder, "--train-logdir", folder]
        code = train.main([*(QUICK if "--quick" in flags else flags), *folders])
    print_shares(seconds, cpu, calls, logs)
    return code


def timed(owner, name: str, seconds: Counter, cpu: Counter, calls: Counter) -> None:
    """Replace a function by one that also counts its calls, their seconds, and those of its CPU."""
    function = getattr(owner, name)

    @functools.wraps(function)
    def with_clock(*args, **kwargs):
        started, cpu_started = time.perf_counter(), time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[name] += time.perf_counter() - started
            cpu[name] += time.thread_time() - cpu_started
            calls[name] += 1

    setattr(owner, name, with_clock)


def print_shares(seconds: Counter, cpu: Counter, calls: Counter, logs: list[str]) -> None:
    for counter in (seconds, cpu):
        counter["all of it"] = sum(counter[name] for name in logs)
    rows = []
    for name in [*(name for name in logs if calls[name]), "all of it"]:
        share = seconds[name] / seconds["fit"]
        times = f"{seconds[name]:.2f}", f"{cpu[name]:.2f}"
        rows.append([name, str(calls[name] or ""), *times, f"{share:.2%}"])
    title = f"Logging, of {seconds['fit']:.0f} s of training and validation"
    print_table(title, ["", "calls", "seconds", "of the CPU", "share"], rows)
    print(f"\n{machine()}; {versions('tensorflow', 'tensorboard')}")


if __name__ == "__main__":
    run_script(main)
