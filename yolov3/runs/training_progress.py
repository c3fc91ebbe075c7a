"""The progress line of a training run: losses, learning rate, speed and time left."""

import sys
import time

SECONDS_BETWEEN_UPDATES = 0.2  # on a terminal, where the line is rewritten
SECONDS_BETWEEN_LINES = 30.0  # in a file, where each update is a new line
BAR_WIDTH = 20


class TrainingProgress:
    """Show how far a run is.

    The time left is judged by pixels, because steps with larger images take longer.
    """

    def __init__(self, stream=None, clock=time.monotonic):
        self._stream, self._clock = stream or sys.stderr, clock
        self._is_terminal = self._stream.isatty()
        self._pixels_done, self._seconds, self._is_traced = 0, 0.0, False
        self._last_step = self._last_shown = clock()

    def start_epoch(self, epoch: int, epochs: int, steps: int, batch_size: int, input_size: int):
        """Begin an epoch (from 0) of so many steps."""
        self._title = f"epoch {epoch + 1}/{epochs} {input_size} px"
        self._steps, self._batch_size, self._step_pixels = (
            steps,
            batch_size,
            batch_size * input_size**2,
        )
        self._last_step = self._clock()

    def step(self, done: int, metrics: dict, pixels_left: int):
        """Count a step; show `done` of the epoch's, its losses, and the time for `pixels_left`."""
        now = self._clock()
        step_seconds, self._last_step = now - self._last_step, now
        if self._is_traced:  # the very first step builds the graph, and tells nothing
            self._seconds += step_seconds
            self._pixels_done += self._step_pixels
        self._is_traced = True
        pause = SECONDS_BETWEEN_UPDATES if self._is_terminal else SECONDS_BETWEEN_LINES
        if now - self._last_shown < pause and done < self._steps:
            return
        self._last_shown = now
        filled = BAR_WIDTH * done // self._steps
        losses = ", ".join(f"{name} {metrics[name]:.2f}" for name in ("giou", "conf", "prob"))
        self._write(
            f"{self._title} [{'=' * filled}{' ' * (BAR_WIDTH - filled)}] {done}/{self._steps}"
            f"  loss {metrics['total']:.2f} ({losses})  lr {metrics['lr']:.1e}"
            f"  {self._batch_size / max(step_seconds, 1e-9):.1f} images/s"
            f"  {self._time_left(pixels_left)}"
        )

    def message(self, text: str):
        """Print a line of its own, below the progress line."""
        end_line = "\n" if self._is_terminal else ""
        print(f"{end_line}{text}", file=self._stream, flush=True)
        self._last_step = self._clock()

    def _time_left(self, pixels_left):
        if not self._pixels_done:
            return "time left not known yet"
        return f"{format_seconds(pixels_left * self._seconds / self._pixels_done)} left"

    def _write(self, line):
        if self._is_terminal:
            print(f"\r{line}\x1b[K", end="", file=self._stream, flush=True)
        else:
            print(line, file=self._stream, flush=True)


def format_seconds(seconds: float) -> str:
    """Write a duration as people do: 42 s, 3 min 20 s, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
