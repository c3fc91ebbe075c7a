"""Follow something live: of the items that come while nobody asks, only the newest is kept."""

import threading
from collections.abc import Callable, Iterable, Iterator

from yolov3.inference.prefetch import POLL_SECONDS


def newest(items: Iterable, may_drop: Callable, stop: threading.Event) -> Iterator:
    """Yield the newest item each time, and before it those that were waiting and `may_drop` spares.

    A thread takes the items as they come. It is left behind, not waited for, when `stop` is set or
    this generator is closed: a dead camera may hold it for long. An error of `items` is raised
    here.
    """
    waiting: list = []
    arrived = threading.Condition()
    errors: list[BaseException] = []
    left = threading.Event()

    def follow():
        try:
            for item in items:
                with arrived:
                    if waiting and may_drop(waiting[-1]):
                        waiting.pop()
                    waiting.append(item)
                    arrived.notify()
                if left.is_set() or stop.is_set():
                    break
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        while not stop.is_set():
            with arrived:
                arrived.wait_for(lambda: waiting, POLL_SECONDS)
                ready, waiting[:] = waiting[:], []
            yield from ready
            if not ready and not thread.is_alive() and not waiting:
                break
        if errors:
            raise errors[0]
    finally:
        left.set()
