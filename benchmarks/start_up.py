"""Time what users wait for: `--help` of every script, and the first step of `train.py`.

    python benchmarks/start_up.py
    python benchmarks/start_up.py --quick

"To the first step" is from the start of `python train.py` (Darknet-53, 416 px, batch 4) to the end
of its first step, less what importing TensorFlow takes. It is measured once.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import machine, print_table, versions
from yolov3.cli.run import import_tensorflow, run_script

ROOT = Path(__file__).resolve().parents[1]
IMPORT = (
    "from yolov3.cli.run import import_tensorflow; import_tensorflow(); import yolov3.runs.start"
)
SCENES = 4  # one batch: the run ends after its first step
ONE_STEP = ("--train-epochs", "1", "--train-input-scales", "1.0", "--test-annot-path", "")


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="calls of --help per script")
    parser.add_argument("--quick", action="store_true", help="one --help per script, no training")
    args = parser.parse_args(argv)
    if args.quick:
        args.rounds = 1
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    scripts = [*sorted(ROOT.glob("*.py")), *sorted((ROOT / "tools").glob("*.py"))]
    rows = []
    for script in [*scripts, ROOT / "mnist/make_data.py", ROOT / "mnist/show_image.py"]:
        seconds = [_seconds([script, "--help"]) for _ in range(args.rounds)]
        name = f"{script.relative_to(ROOT)} --help"
        rows.append([name, f"{statistics.median(seconds):.2f}"])
    if not args.quick:
        importing = statistics.median(_seconds(["-c", IMPORT]) for _ in range(args.rounds))
        rows.append(["import of TensorFlow and train.py's modules", f"{importing:.1f}"])
        rows.append(["train.py, import to the first step", f"{first_step() - importing:.1f}"])
    print_table(f"Start-up, median of {args.rounds}", ["what", "seconds"], rows)
    print(f"\n{machine()}; {versions('tensorflow', 'keras')}")
    return 0


def first_step() -> float:
    """Return the seconds from the start of train.py to the end of its first step."""
    from benchmarks.scenes import write_scenes

    with tempfile.TemporaryDirectory() as folder:
        annotations = write_scenes(folder, SCENES)
        folders = ("--train-checkpoints-folder", f"{folder}/checkpoints", "--train-logdir", folder)
        started = time.time()  # as the log counts
        _seconds([ROOT / "train.py", "--train-annot-path", annotations, *folders, *ONE_STEP])
        return _time_of_first("lr", folder) - started


def _time_of_first(tag, folder) -> float:
    import_tensorflow()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (log,) = {str(path.parent) for path in Path(folder).rglob("events.out.tfevents.*")}
    events = EventAccumulator(log)
    events.Reload()
    return events.Tensors(tag)[0].wall_time


def _seconds(command) -> float:
    """Run `python *command` and return its time. Raises ValueError if it fails."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise ValueError(f"{command[0]}: ended with code {done.returncode}: {done.stderr.strip()}")
    return time.perf_counter() - started


if __name__ == "__main__":
    run_script(main)
