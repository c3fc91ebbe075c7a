"""When to save, so that a power cut costs five minutes of work at most."""

import time

MOST_SECONDS_LOST = 300.0
FIRST_VALIDATION = 60.0  # seconds: a guess until one was measured


class SaveTimer:
    """Tell when the next save is due; the run says what it has just done.

    What a power cut destroys reaches back to the start of the newest whole save. So the next one
    must be whole within `MOST_SECONDS_LOST` of that; each step, validation and save is expected to
    take as long as the longest of its kind so far. A step or validation of more than that is saved
    after each.
    """

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._safe_at = self._last = clock()
        self._longest = {"step": 0.0, "save": 0.0}

    def is_due(self, before: str) -> bool:
        """Tell whether to save before another "step" or "validation"."""
        expected = self._longest.get(before, FIRST_VALIDATION)
        next_save_ends = self._clock() + expected + self._longest["save"]
        return next_save_ends - self._safe_at > MOST_SECONDS_LOST

    def done(self, what: str) -> None:
        """Say that all since the last call was a "step", a "validation" or a "save"."""
        now = self._clock()
        self._longest[what] = max(self._longest.get(what, 0.0), now - self._last)
        if what == "save":
            self._safe_at = self._last
        self._last = now
