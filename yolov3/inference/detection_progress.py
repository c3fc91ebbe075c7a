"""The progress line of a detection: frames done, frames per second, time left where it is known."""

import sys
import time

from yolov3.runs.training_progress import (
    BAR_WIDTH,
    SECONDS_BETWEEN_LINES,
    SECONDS_BETWEEN_UPDATES,
    format_seconds,
)


class DetectionProgress:
    """Count frames, show how far a detection is, and print lines that keep clear of that.

    `total` is None where there is no end. The clock starts here.
    """

    def __init__(self, total: int | None, stream=None, clock=time.monotonic):
        self.done = 0
        self._total, self._stream, self._clock = total, stream or sys.stderr, clock
        self._is_terminal = self._stream.isatty()
        self._started = self._shown = clock()

    def add(self, frames: int) -> None:
        """Count frames that are done, and show it now and then."""
        self.done += frames
        pause = SECONDS_BETWEEN_UPDATES if self._is_terminal else SECONDS_BETWEEN_LINES
        if self._clock() - self._shown >= pause:
            self._shown = self._clock()
            self._write(self._line())

    def message(self, text: str, stream=None) -> None:
        """Print a line, on standard output unless told, in place of the progress line."""
        self._erase()
        print(text, file=stream or sys.stdout, flush=True)

    def close(self) -> None:
        """Remove the progress line."""
        self._erase()

    @property
    def frames_per_second(self) -> float:
        """The speed so far."""
        return self.done / max(self._clock() - self._started, 1e-9)

    def _line(self) -> str:
        speed = self.frames_per_second
        fps = f"{speed:.1f} frames/s"
        if self._total is None:
            return f"{self.done:,} frames  {fps}"
        total = max(self._total, self.done)  # a header may have stated too few
        filled = BAR_WIDTH * self.done // total
        left = format_seconds((total - self.done) / max(speed, 1e-9))
        bar = "=" * filled + " " * (BAR_WIDTH - filled)
        return f"[{bar}] {self.done:,}/{total:,} frames  {fps}  {left} left"

    def _write(self, line):
        start, end = ("\r", "\x1b[K") if self._is_terminal else ("", "\n")
        print(f"{start}{line}{end}", end="", file=self._stream, flush=True)

    def _erase(self):
        if self._is_terminal:
            self._write("")
