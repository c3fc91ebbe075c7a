"""Work ahead in threads: while one result is used, the next ones are computed, in order."""

import contextlib
import queue
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor

POLL_SECONDS = 0.1  # between looks at whether to stop


def prefetch(
    items: Generator, function: Callable, workers: int, ahead: int, stop: threading.Event
) -> Generator:
    """Yield `function(item)` for each item in order, computed by `workers` threads.

    One more thread takes the items. At most `ahead` results wait, so memory stays bounded however
    many items there are. An error of an item, or of taking one, is raised here in its turn. Stages
    that are chained share `stop`: it is set when the last one is closed or meets Ctrl-C, and ends
    the work of all, even of one that waits.
    """
    results: queue.Queue = queue.Queue(ahead)
    left = threading.Event()

    def ended() -> bool:
        return stop.is_set() or left.is_set()

    thread = threading.Thread(
        target=_feed, args=(items, function, workers, results, ended), daemon=True
    )
    thread.start()
    try:
        while (future := _take(results, ended)) is not None:
            yield future.result()
    except (GeneratorExit, KeyboardInterrupt):
        stop.set()
        raise
    finally:
        left.set()
        thread.join()


def _feed(items, function, workers, results, ended) -> None:
    with ThreadPoolExecutor(workers) as pool, contextlib.closing(items):
        try:
            for item in items:
                _put(results, pool.submit(function, item), ended)
                if ended():
                    return
        except BaseException as error:  # of `items`: for the thread that asks for results
            failed: Future = Future()
            failed.set_exception(error)
            _put(results, failed, ended)
        _put(results, None, ended)


def _put(results, future, ended) -> None:
    while not ended():
        with contextlib.suppress(queue.Full):
            return results.put(future, timeout=POLL_SECONDS)


def _take(results, ended) -> Future | None:
    while not ended():
        with contextlib.suppress(queue.Empty):
            return results.get(timeout=POLL_SECONDS)
    return None
