"""Small training runs in folders of their own, and what they leave behind."""

import hashlib
import json
import re
import shutil
import threading
from collections import defaultdict
from dataclasses import dataclass
from itertools import zip_longest
from multiprocessing import Process
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mnist.scenes import make_scenes
from mnist.sklearn_digits import read_offline_digits
from tests.torture.processes import start_process
from tests.torture.trainee import Trap, train_in_child
from yolov3.annotations import format_line
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
    *("--augment-crop=1", "--augment-scale=0.3", "--augment-color=0.3"),
)
_being_made = defaultdict(threading.Lock)  # results of undisturbed runs, by file


class Variant(NamedTuple):
    """How a run computes; bits are compared between runs of one variant only."""

    precision: str
    threads: int

    def __str__(self) -> str:
        return f"{self.precision}-{self.threads}"


@dataclass
class Run:
    """A run in a folder, as many processes as it may take to end it.

    `data` is a folder of `make_data`.
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
        files = [f"--{name}-annot-path={self.data}/scenes.txt" for name in ("train", "test")]
        names = f"--train-classes={self.data}/digits.names"
        return [*FLAGS, *files, names, f"--precision={self.variant.precision}"]

    def finish(self) -> str:
        """Run to the end; return what went wrong, or an empty string."""
        process = self.start()
        process.join(SECONDS_ALLOWED)
        if process.exitcode is None:
            process.kill()
            return f"still running after {SECONDS_ALLOWED} s"
        if process.exitcode:
            return f"exit code {process.exitcode}: {self.last_words()}"
        return ""

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
        last = f"last-{STEPS:06d}"
        [run] = [path.parent for path in self.folder.glob(f"checkpoints/*/{last}")]
        names = sorted(path.name for path in run.iterdir())
        before = re.compile(r"last-\d+")  # the one before the last depends on when it was saved
        found = {"folder": [name for name in names if name == last or not before.fullmatch(name)]}
        for name in [last, *(name for name in names if name.startswith("best"))]:
            for file in sorted((run / name).glob("*.safetensors")) + [run / name / "state.json"]:
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                found[f"{name}/{file.name}"] = digest
        return found | read_log(self.folder / "log" / run.name)


def prepare(folder: Path) -> None:
    """Make the data of all runs in a folder, once; import what threads would import at once."""
    if not (folder / "data").exists():
        make_data(folder / "data")
        import_tensorflow()  # which redirects stderr meanwhile


def make_data(folder: Path) -> None:
    """Write scenes of digits, `scenes.txt` and `digits.names` to a new folder."""
    folder.mkdir()
    images, labels, _, _ = read_offline_digits()
    lines = []
    scenes = make_scenes(images, labels, SCENES, SCENE_SIZE, np.random.default_rng(0))
    for number, scene in enumerate(scenes):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), scene.image)
        lines.append(format_line(path, scene.boxes_xyxy, scene.labels))
    (folder / "scenes.txt").write_text("\n".join(lines) + "\n")
    (folder / "digits.names").write_text("\n".join("0123456789") + "\n")


def reference(folder: Path, variant: Variant) -> dict:
    """Return the results of an undisturbed run on the data in a folder, where they are kept."""
    kept = folder / f"undisturbed-{variant}.json"
    with _being_made[kept]:
        if not kept.exists():
            run = Run(folder / f"undisturbed-{variant}", folder / "data", variant)
            if fault := run.finish() or run.broken():
                raise RuntimeError(f"an undisturbed run failed: {fault}")
            kept.write_text(json.dumps(run.results()))
            shutil.rmtree(run.folder)
        return json.loads(kept.read_text())


def read_log(folder: Path) -> dict[str, list]:
    """Return the log as TensorBoard shows it: [step, value] of every tag."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    log = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    log.Reload()
    return {
        f"log/{tag}": [
            [event.step, str(make_ndarray(event.tensor_proto).tolist())]
            for event in log.Tensors(tag)
        ]
        for tag in sorted(log.Tags()["tensors"])
    }


def difference(results: dict, expected: dict) -> str:
    """Say where results first differ from those of the undisturbed run; "" if nowhere."""
    for name in sorted(results.keys() | expected.keys()):
        one, other = results.get(name), expected.get(name)
        if one == other:
            continue
        if isinstance(one, list) and isinstance(other, list):
            pairs = list(zip_longest(other, one))
            place = next(i for i, (wanted, found) in enumerate(pairs) if wanted != found)
            name, (other, one) = f"{name}[{place}]", pairs[place]
        return f"{name}: expected {other!s:.200}; received {one!s:.200}"
    return ""
