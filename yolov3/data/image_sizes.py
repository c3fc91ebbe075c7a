"""Width and height of many images at once, from their headers.

Decoding 100,000 images takes minutes, their headers take seconds. Pillow's Python code is most of
the work, and threads would take turns in it, so it is shared between processes.
"""

import os
import signal
import sys
import types
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from yolov3.cli.progress import track
from yolov3.images import ImageFileError, read_image_size

MAX_WORKERS = 8
IMAGES_PER_WORKER = 20_000  # a process reads them in a second, and takes most of one to start
BATCH = 256  # images between two signs of progress


def read_sizes(
    paths: list[str], label: str, workers: int | None = None
) -> list[tuple[int, int] | ImageFileError]:
    """Return (width, height) of each image, or the error; show the progress with a label.

    `workers` is a number of processes: 1 stays in this one, None chooses by the number of paths.
    Raises ChildProcessError if a process dies.
    """
    if workers is None:
        workers = min(os.cpu_count() or 1, MAX_WORKERS, len(paths) // IMAGES_PER_WORKER)
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    results = _read_in_processes(batches, workers) if workers > 1 else map(_read_batch, batches)
    return [size for sizes in track(results, len(paths), label) for size in sizes]


def _read_in_processes(batches: list[list[str]], workers: int) -> Iterator[list]:
    # Spawned: a fork would copy a process that may have TensorFlow's threads.
    pool = ProcessPoolExecutor(workers, get_context("spawn"))
    try:
        with _clean_start():
            results = pool.map(_read_batch, batches)
        yield from results
    except BrokenProcessPool:
        raise ChildProcessError("a process that read image headers has died") from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _clean_start() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach, and that do not import the caller's script.

    The terminal sends Ctrl-C to all; here it waits for this process. Without `__main__` the
    processes have nothing to run a second time, whether or not it has a guard against that.
    """
    script = sys.modules["__main__"]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # children inherit it
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _read_batch(paths: list[str]) -> list[tuple[int, int] | ImageFileError]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, which nobody reads
        return [_read_size(path) for path in paths]


def _read_size(path: str) -> tuple[int, int] | ImageFileError:
    try:
        return read_image_size(path)
    except ImageFileError as error:
        return error
