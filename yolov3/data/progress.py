"""A progress line for long checks: share done and time left, on a terminal only."""

import sys
import time
from collections.abc import Iterable, Iterator

SECONDS_BETWEEN_UPDATES = 0.2


def show_progress(batches: Iterable[list], total: int, label: str) -> Iterator[list]:
    """Pass batches through and count their items against `total` in one line on stderr.

    Nothing is written if stderr is no terminal, or for work that ends before the first update.
    """
    if not sys.stderr.isatty():
        yield from batches
        return
    started = shown = None
    done = before = 0
    try:
        for batch in batches:
            yield batch
            done += len(batch)
            now = time.monotonic()
            if (
                started is None
            ):  # the first batch pays for the start, which says nothing of the rest
                started, shown, before = now, now, done
            elif now - shown >= SECONDS_BETWEEN_UPDATES:
                shown = now
                seconds_left = (now - started) / (done - before) * (total - done)
                _write(f"{label}: {done:,} of {total:,}, {seconds_left:.0f} s left")
    finally:
        if shown != started:
            _write("")


def _write(text: str) -> None:
    erase_to_line_end = "\x1b[K"
    print(f"\r{text}{erase_to_line_end}", end="", file=sys.stderr, flush=True)
