"""One line of progress for a long family of faults, with the time left."""

import sys
import threading
import time

SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """Count faults of a family; safe to call from several threads."""

    def __init__(self, name: str, total: int):
        self.name, self.total, self.done = name, total, 0
        self._started = self._shown = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Count one fault; print a line now and then."""
        with self._lock:
            now = time.monotonic()
            self.done += 1
            if self.done == 1:  # which pays for the start, and says nothing of the rest
                self._started = self._shown = now
            if now - self._shown < SECONDS_BETWEEN_LINES and self.done < self.total:
                return
            self._shown = now
            seconds_left = (now - self._started) / (self.done - 1 or 1) * (self.total - self.done)
            state = f"{self.done:,} of {self.total:,}, about {seconds_left:.0f} s left"
            print(f"{self.name}: {state}", file=sys.stderr, flush=True)
