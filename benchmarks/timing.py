"""Time several engines by turns, each in a process of its own, and print what they took.

An engine is a script that calls `serve` after its warm-up. It waits while another one runs, so two
frameworks never share a core, and what slows the machine for a minute slows all of them.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

CPUINFO, MEMORY = Path("/proc/cpuinfo"), Path("/proc/self/statm")
LIMIT = "ONEDNN_MAX_CPU_ISA"  # the instructions that oneDNN may use
MARK = "benchmark:"  # starts the lines of an engine that are for the parent


class Times(NamedTuple):
    """What each run of an engine took: seconds, and CPU seconds of all its threads together."""

    name: str
    facts: dict  # whatever the engine tells about itself: versions, precision
    seconds: list[float]
    cpu_seconds: list[float]
    megabytes: list[float]  # of memory, resident after each run

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def cpu_median(self) -> float:
        """Return the median of the CPU seconds, which a busy machine disturbs less."""
        return statistics.median(self.cpu_seconds)


class Engine:
    """A process that was warmed up and now measures whenever it is asked to."""

    def __init__(self, name: str, command: list[str], environment: dict | None = None):
        """Start `python *command` and wait for its `serve`. Raises ValueError if it fails."""
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.facts = self._read()

    def measure(self) -> dict:
        """Let it run once; return the seconds, cpu_seconds and megabytes."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> dict:
        for line in self._process.stdout:
            if line.startswith(MARK):
                return json.loads(line.removeprefix(MARK))
        code = self._process.wait()
        raise ValueError(f"{self.name}: expected a measurement; the engine ended with code {code}")


def serve(work, /, **facts) -> None:
    """Be an engine: tell `facts`, then call `work()` and tell its time whenever the parent asks."""
    _tell(facts)
    for _ in sys.stdin:
        started, cpu_started = time.perf_counter(), time.process_time()
        work()
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        _tell({"seconds": seconds, "cpu_seconds": cpu_seconds, "megabytes": megabytes()})


def ratio(ours: Times, its: Times) -> float:
    """Return the median over the turns of our seconds by its, for as many runs."""
    turns = zip(ours.seconds, its.seconds, strict=True)
    scale = its.facts.get("runs", 1) / ours.facts.get("runs", 1)
    return statistics.median(our / their for our, their in turns) * scale


def take_turns(engines: list[Engine], rounds: int) -> list[Times]:
    """Measure all engines `rounds` times, one after another in each round, and close them."""
    results = [Times(engine.name, engine.facts, [], [], []) for engine in engines]
    for _ in range(rounds):
        for engine, times in zip(engines, results, strict=True):
            for quantity, value in engine.measure().items():
                getattr(times, quantity).append(value)
    for engine in engines:
        engine.close()
    return results


def machine() -> str:
    """Name the CPU, what it multiplies fast, any limit of that, and the cores of this process."""
    text = CPUINFO.read_text(errors="replace") if CPUINFO.is_file() else ""
    named = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    flags = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in text]
    name = named[0] if named else platform.processor() or platform.machine()
    limit = f", limited to {os.environ[LIMIT]}" if LIMIT in os.environ else ""
    return f"{name} ({', '.join(flags) or platform.machine()}{limit}), {len(cores())} cores"


def cores() -> list[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def versions(*packages: str) -> str:
    """Return "name version" of each installed package, and of Python."""
    found = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    return ", ".join(found)


def print_table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table under a title."""
    print(f"\n### {title}\n")
    for row in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(row) + " |")
    sys.stdout.flush()


def megabytes() -> float:
    """Return the resident memory of this process, 0 where the system does not tell."""
    if not MEMORY.is_file():
        return 0.0
    return int(MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _tell(facts: dict) -> None:
    print(MARK + json.dumps(facts), flush=True)
