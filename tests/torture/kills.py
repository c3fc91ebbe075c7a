"""Kill training, `--resume` it, and compare the end with a run that was never disturbed."""

import os
import random
import shutil
import signal
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.torture.runs import (
    EPOCHS,
    STEPS,
    Run,
    Variant,
    difference,
    prepare,
    reference,
    wait_for,
    wait_until,
)
from tests.torture.table import Row, row_of
from tests.torture.trainee import Trap

VARIANTS = tuple(Variant(name, threads) for name in ("float32", "bfloat16") for threads in (1, 2))
KILLS_PER_RUN = 5
CALLS = 150  # about four saves make: traps spread over writing, renaming and deleting
LARGEST_FILE = 130_000_000  # bytes, a little less than the state of YOLOv3-tiny
MOST_SECONDS_LOST = (0, 0, 2, 300)  # saved: after each step, some steps, only each epoch
SECONDS_OF_STEPS = 6.0  # about what the steps of a run take, if few are saved

MOMENT = "SIGKILL at a random moment"
CALL = "SIGKILL at a random file-system call of a save"
MIDDLE = "SIGKILL in the middle of a write"
TERMINATE = "SIGTERM at a random moment"
INTERRUPT = "SIGINT (Ctrl-C) at a random moment"
# Ten of twelve are kills, of which half hit a save.
CYCLE = (MOMENT, CALL, MIDDLE, MOMENT, CALL, INTERRUPT, MOMENT, CALL, MOMENT, MIDDLE, MOMENT)
CYCLE += (TERMINATE,)
SIGNALS = {MOMENT: signal.SIGKILL, TERMINATE: signal.SIGTERM, INTERRUPT: signal.SIGINT}
# Before the first step SIGTERM just ends the process; after the last one there is nothing to stop.
ENDS = {MOMENT: {-9}, CALL: {-9}, MIDDLE: {-signal.SIGXFSZ}}
ENDS |= {TERMINATE: {130, -signal.SIGTERM}, INTERRUPT: {130}}


def run(count: int, seed: int, folder: Path) -> list[Row]:
    """Kill `count` times, `KILLS_PER_RUN` to a run, on all cores."""
    prepare(folder)
    faults = [CYCLE[number % len(CYCLE)] for number in range(count)]
    random.Random(seed).shuffle(faults)
    outcomes = defaultdict(list)

    def suffer(start):
        variant = VARIANTS[start // KILLS_PER_RUN % len(VARIANTS)]
        waiting, fault = deque(faults[start : start + KILLS_PER_RUN]), ""
        while waiting and not fault:  # a run that is too quick for some leaves them to another
            number = start + KILLS_PER_RUN - len(waiting)
            chain = Chain(folder / f"kills-{number}", variant, waiting, seed + number)
            fault = chain.run()
            if fault and not chain.suffered:
                raise RuntimeError(fault)
            for kind in chain.suffered:
                outcomes[f"{kind}, {variant.precision}"].append(fault)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(suffer, range(0, count, KILLS_PER_RUN)))
    ends = f"{EPOCHS} epochs, {STEPS} steps; weights and log equal bit for bit"
    return [row_of(name, outcomes[name], ends) for name in sorted(outcomes)]


class Chain:
    """One run, and the faults it has to suffer."""

    def __init__(self, folder: Path, variant: Variant, faults: deque, seed: int):
        self.job = Run(folder, folder.parent / "data", variant)
        self.faults, self.suffered = faults, []
        self.random = random.Random(seed)

    def run(self) -> str:
        """Suffer all faults and end; return what went wrong, or "" and leave nothing behind."""
        while self.faults and self._left():
            fault = self._suffer(self.faults[0])
            if fault is None:
                break  # the run ended first
            self.suffered.append(self.faults.popleft())
            if fault:
                return f"{self.job.folder}: {fault}"
        fault = self.job.finish() or self.job.broken()
        fault = fault or difference(self.job.results(), reference(self.job))
        if fault:
            return f"{self.job.folder} after {', '.join(self.suffered)}: {fault}"
        shutil.rmtree(self.job.folder)
        return ""

    def _left(self) -> int:
        return STEPS - max(self.job.steps(), default=0)

    def _suffer(self, kind) -> str | None:
        """Start, and kill; return what went wrong, "" for nothing, None if it ended by itself."""
        before = max(self.job.steps(), default=0)
        trap = self._trap(kind)
        lost = 0 if trap else self.random.choice(MOST_SECONDS_LOST)  # a trap needs calls to count
        process = self.job.start(trap, lost)
        if kind in SIGNALS:
            self._wait_for_moment(process)
            if process.is_alive():
                os.kill(process.pid, SIGNALS[kind])
        if fault := wait_for(process):
            return f"{kind}: {fault}"
        if process.exitcode == 0:
            return None
        words = self.job.last_words()
        if process.exitcode not in ENDS[kind] or "Traceback" in words:
            return f"{kind}: exit code {process.exitcode}: {words}"
        if max(self.job.steps(), default=0) < before:
            return f"{kind}: checkpoint of step {before} is gone; left {self.job.steps()}"
        return self.job.broken()

    def _trap(self, kind) -> Trap | None:
        call = self.random.randint(1, CALLS)
        if kind == MIDDLE:
            return Trap(call, limit=self.random.randrange(LARGEST_FILE))
        return Trap(call) if kind == CALL else None

    def _wait_for_moment(self, process):
        """Wait a random time from the first sign of a save."""
        before = self._signs()
        wait_until(lambda: self._signs() != before, process)
        process.join(self.random.uniform(0, SECONDS_OF_STEPS * self._left() / STEPS))

    def _signs(self):
        return {path.name for path in self.job.folder.glob("checkpoints/*/*-*")}
