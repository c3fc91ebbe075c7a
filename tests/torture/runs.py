"""Small training runs in folders of their own, and what they leave behind."""

import hashlib
import re
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from multiprocessing import Process
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mnist.scene_files import SplitWriter
from mnist.scenes import make_scenes
from mnist.sklearn_digits import read_offline_digits
from tests.torture.processes import REPO, start_process
from tests.torture.trainee import Trap, train_in_child
from yolov3.checkpoints import open_checkpoint
from yolov3.cli.run import import_tensorflow

SCENES, SCENE_SIZE = 6, 112  # 3 steps to an epoch
EPOCHS = 4
STEPS = 12
WHOLE = re.compile(r"(best|last)-(\d+)(\.replaced)?")  # names of checkpoints that claim to be
SECONDS_ALLOWED = 600  # for one process, on a machine however busy
FLAGS = (
    *("--tiny", "--train-input-size=64", "--train-input-scales", "0.5", "1"),
    *("--train-batch-size=2", f"--train-epochs={EPOCHS}", "--augment-flip=0.5"),
    *("--augment-mosaic=0.5", "--augment-scale=0.3", "--augment-value=0.3"),
)
_being_made = defaultdict(threading.Lock)  # undisturbed runs, by folder


class Variant(NamedTuple):
    """How a run computes; bits are compared between runs of one variant only."""

    precision: str
    threads: int


@dataclass
class Run:
    """A run in a folder, as many processes as it may take to end it.

    `data` is the folder of scenes that `prepare` writes.
    """

    folder: Path
    data: Path
    variant: Variant

    def start(self, trap: Trap | None = None, most_seconds_lost: float = 0) -> Process:
        """Start, or `--resume` once there is a checkpoint, `train.py` in a process.

        Returns the process, of `train_in_child`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = ["--resume"] if self.steps() else self.flags()
        settings = self.folder, self.variant.threads, most_seconds_lost, trap
        return start_process(train_in_child, arguments, *settings)

    def flags(self) -> list[str]:
        """Return the flags of a new run."""
        files = [f"--{name}-annot-path={self.data}/train.txt" for name in ("train", "test")]
        names = f"--train-classes={REPO}/mnist/mnist.names"
        return [*FLAGS, *files, names, f"--precision={self.variant.precision}"]

    def finish(self) -> str:
        """Run to the end; return what went wrong, or an empty string."""
        process = self.start()
        fault = wait_for(process)
        if process.exitcode:
            return f"exit code {process.exitcode}: {self.last_words()}"
        return fault

    def steps(self) -> list[int]:
        """Return the steps of the checkpoints to resume, oldest first."""
        names = [WHOLE.fullmatch(path.name) for path in self.folder.glob("checkpoints/*/last-*")]
        return sorted(int(name[2]) for name in names if name)

    def broken(self) -> str:
        """Verify every checkpoint; return what is wrong with the first that is not whole."""
        for folder in self.folder.glob("checkpoints/*/*"):
            try:
                if WHOLE.fullmatch(folder.name):
                    open_checkpoint(folder)
            except ValueError as error:
                return str(error)
        return ""

    def last_words(self) -> str:
        """Return the end of what the last process wrote to stderr."""
        return (self.folder / "stderr.txt").read_text(errors="replace")[-400:].strip()

    def results(self) -> dict:
        """Return a fingerprint of what the run left: best and last checkpoint, other files, log."""
        from tests.small_training import PER_PROCESS, events_of

        last = f"last-{STEPS:06d}"
        [run] = [path.parent for path in self.folder.glob(f"checkpoints/*/{last}")]
        names = sorted(path.name for path in run.iterdir())
        before = re.compile(r"last-\d+")  # the one before the last depends on when it was saved
        found = {"folder": [name for name in names if name == last or not before.fullmatch(name)]}
        for name in [last, *(name for name in names if name.startswith("best"))]:
            for file in sorted((run / name).glob("*.safetensors")) + [run / name / "state.json"]:
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                found[f"{name}/{file.name}"] = digest
        events = events_of(self.folder / "log" / run.name)
        events = [event for event in events if event[0] not in PER_PROCESS]
        return found | {f"log[{number}]": str(event) for number, event in enumerate(events)}


def wait_until(is_so, process) -> None:
    """Wait until something is so, a process has ended, or time is up."""
    deadline = time.monotonic() + SECONDS_ALLOWED
    while not is_so() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)


def wait_for(process) -> str:
    """Wait for the end of a process; return what is wrong if it takes too long."""
    process.join(SECONDS_ALLOWED)
    if process.exitcode is not None:
        return ""
    process.kill()
    return f"still running after {SECONDS_ALLOWED} s"


def prepare(folder: Path) -> None:
    """Write the scenes of all runs, once, and import what threads would import at once."""
    if (folder / "data").exists():
        return
    import_tensorflow()  # which redirects stderr meanwhile
    digits, rng = read_offline_digits()[:2], np.random.default_rng(0)
    with SplitWriter(folder / "data", "train") as writer:
        writer.draw(make_scenes(*digits, SCENES, SCENE_SIZE, rng))
        writer.install()


def reference(disturbed: Run) -> dict:
    """Return the results of an undisturbed run on the same data, beside the disturbed one."""
    variant = disturbed.variant
    folder = disturbed.folder.with_name(f"undisturbed-{variant.precision}-{variant.threads}")
    run = Run(folder, disturbed.data, variant)
    with _being_made[run.folder]:
        if not run.folder.exists() and (fault := run.finish() or run.broken()):
            raise RuntimeError(f"an undisturbed run failed: {fault}")
        return run.results()


def difference(results: dict, expected: dict) -> str:
    """Say where results first differ from those of the undisturbed run; "" if nowhere."""
    for name in sorted(results.keys() | expected.keys()):
        one, other = results.get(name), expected.get(name)
        if one != other:
            return f"{name}: expected {other!s:.200}; received {one!s:.200}"
    return ""
