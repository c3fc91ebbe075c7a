"""Width and height of many images at once, from their headers.

Decoding 100,000 images takes minutes, their headers take seconds. Pillow's Python code is most of
the work, and threads would take turns in it: eight of them are slower than one. The work is shared
between processes, each of which runs this module as a script. They are not `multiprocessing` ones,
because those fork a process that may have TensorFlow's threads, or import the caller's script a
second time.
"""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path

from yolov3.data.image_file import Fault, Size, read_size

__all__ = ["Fault", "Size", "read_size", "read_sizes"]

MAX_WORKERS = 8
IMAGES_PER_WORKER = 2000  # fewer are read sooner than another process starts
BATCH = 256  # images between two signs of progress
PACKAGES = str(Path(__file__).resolve().parents[2])


def read_sizes(
    paths: list[str], workers: int | None = None
) -> Iterator[list[tuple[int, Size | Fault]]]:
    """Yield batches of (index into `paths`, `read_size` of it), in any order, until all are done.

    `workers` is a number of processes: 1 stays in this one, None chooses by the number of paths.
    """
    if workers is None:
        workers = min(os.cpu_count() or 1, MAX_WORKERS, len(paths) // IMAGES_PER_WORKER)
    if workers > 1:
        yield from _read_in_processes(paths, workers)
        return
    for start in range(0, len(paths), BATCH):
        yield list(enumerate(_read_batch(paths[start : start + BATCH]), start))


def _read_batch(paths: list[str]) -> list[Size | Fault]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, which OpenCV does not read
        return [read_size(path) for path in paths]


def _read_in_processes(paths: list[str], workers: int) -> Iterator[list]:
    """Give process k the paths k, k + workers, ... and take the batches that they print in turn."""
    command = [sys.executable, "-P", "-m", "yolov3.data.image_sizes"]
    search_path = os.pathsep.join(filter(None, [PACKAGES, os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": search_path}
    pipe = subprocess.PIPE
    processes = [  # in a session of their own, so that Ctrl-C reaches this process alone
        subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, start_new_session=True)
        for _ in range(workers)
    ]
    try:
        for first, process in enumerate(processes):
            with suppress(BrokenPipeError):  # it has died: its exit code says so below
                process.stdin.write(json.dumps(paths[first::workers]).encode())
            with suppress(BrokenPipeError):
                process.stdin.close()
        for number, lines in enumerate(zip_longest(*[process.stdout for process in processes])):
            for first, line in enumerate(lines):
                if line:
                    start = first + number * BATCH * workers
                    yield [(start + i * workers, tuple(s)) for i, s in enumerate(json.loads(line))]
        for process in processes:
            if process.wait():
                raise ChildProcessError(f"reading image headers: exit {process.returncode}")
    finally:
        for process in processes:
            process.kill()
            process.stdout.close()
            process.wait()


def _work() -> None:
    paths = json.load(sys.stdin)
    for start in range(0, len(paths), BATCH):
        print(json.dumps(_read_batch(paths[start : start + BATCH])), flush=True)


if __name__ == "__main__":
    try:
        _work()
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)  # the parent says what there is to say
