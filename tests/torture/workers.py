"""Kill one of two workers, start both again, and compare the end with an undisturbed training."""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from tests.torture.kills import MOST_SECONDS_LOST, SECONDS_OF_STEPS
from tests.torture.processes import start_process
from tests.torture.runs import Run, Variant, difference, prepare, wait_for, wait_until
from tests.torture.table import Row, row_of
from tests.torture.trainee import train_in_child
from tools.launch import free_ports
from yolov3.runs.workers import GONE

WORKERS, KILLS_PER_RUN = 2, 4
SECONDS_TO_END = 30  # for the others, when one was killed
VARIANT = Variant("float32", 1)


def run(count: int, seed: int, folder: Path) -> list[Row]:
    """Kill `count` times, `KILLS_PER_RUN` to a run."""
    prepare(folder)
    whole = Run(folder / "undisturbed-workers", folder / "data", VARIANT)
    if fault := finish(whole):
        raise RuntimeError(f"an undisturbed run failed: {fault}")
    expected, outcomes, rng = whole.results(), [], random.Random(seed)
    while len(outcomes) < count:
        job = Run(folder / f"workers-{len(outcomes)}", whole.data, VARIANT)
        faults = [kill(job, rng) for _ in range(min(KILLS_PER_RUN, count - len(outcomes)))]
        last = finish(job) or job.broken() or difference(job.results(), expected)
        outcomes += [fault or last for fault in faults]
        survived = outcomes.count("")
        print(f"workers: {survived} of {len(outcomes)} kills survived", file=sys.stderr, flush=True)
        if not any(faults) and not last:
            shutil.rmtree(job.folder)
    return [row_of("SIGKILL of a worker at a random moment", outcomes, "two workers; bits equal")]


def start(job: Run, most_seconds_lost: float) -> list:
    """Start all workers of a run, or `--resume` it."""
    job.folder.mkdir(parents=True, exist_ok=True)
    arguments = ["--resume"] if job.steps() else job.flags()
    hosts = ",".join(f"127.0.0.1:{port}" for port in free_ports(WORKERS))
    places = [[f"--worker-hosts={hosts}", f"--worker-index={index}"] for index in range(WORKERS)]
    settings = job.folder, job.variant.threads, most_seconds_lost, None
    return [start_process(train_in_child, arguments + place, *settings) for place in places]


def finish(job: Run) -> str:
    """Train to the end; return what went wrong, or an empty string."""
    processes = start(job, 300)
    faults = [wait_for(process) or process.exitcode for process in processes]
    return f"ended with {faults}: {job.last_words()}" if any(faults) else ""


def kill(job: Run, rng: random.Random) -> str:
    """Start, and kill a worker; return what went wrong, or an empty string."""
    before = max(job.steps(), default=0)
    seen = signs(job)
    processes = start(job, rng.choice(MOST_SECONDS_LOST))
    victim = rng.choice(processes)
    wait_until(lambda: signs(job) != seen, victim)
    victim.join(rng.uniform(0, SECONDS_OF_STEPS))
    if not victim.is_alive():
        return "".join(map(wait_for, processes))  # it was quicker
    os.kill(victim.pid, signal.SIGKILL)
    killed = time.monotonic()
    for process in processes:
        process.join(SECONDS_TO_END)
        if process.exitcode not in (-signal.SIGKILL, GONE):
            process.kill()
            seconds = time.monotonic() - killed
            return f"exit code {process.exitcode} after {seconds:.0f} s: {job.last_words()}"
    if max(job.steps(), default=0) < before:
        return f"checkpoint of step {before} is gone; left {job.steps()}"
    return job.broken()


def signs(job: Run) -> set[str]:
    return {path.name for path in job.folder.glob("checkpoints/*/*-*")}
