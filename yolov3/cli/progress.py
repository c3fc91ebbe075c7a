"""How far a long job is: one line kept up to date on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress

from yolov3.text import format_seconds, printable

SECONDS_BETWEEN_UPDATES = 0.2  # on a terminal, where the line is rewritten
SECONDS_BETWEEN_LINES = 30.0  # in a file, where each update is a new line
RECENT_SECONDS = 120.0  # of which the speed is taken: it recovers soon after a pause
BAR_WIDTH = 20
TRACKED = 256  # items between two signs of progress


class Progress:
    """Count work and show how far it is, its recent speed and the time left, on stderr.

    `total` is the amount of work, None where it has no end. Work may be counted in another unit
    than people read: a training counts pixels, since larger images take longer. Use it in a `with`
    statement; `message` prints lines that keep clear of the progress line.
    """

    def __init__(self, total: float | None, stream=None, clock=time.monotonic):
        self._stream, self._clock = stream or sys.stderr, clock
        self.is_terminal = self._stream.isatty()
        file = getattr(self._stream, "unfiltered", self._stream)
        self._rich = RichProgress(
            BarColumn(BAR_WIDTH),
            TextColumn("{task.description}", markup=False),
            console=Console(file=file, emoji=False, force_terminal=self.is_terminal),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,  # it may be a file where this stream is a terminal
            get_time=clock,
            speed_estimate_period=RECENT_SECONDS,
            disable=not self.is_terminal,
        )
        self._rich.add_task("", total=total)
        [self._task] = self._rich.tasks
        self._shown = clock()

    def __enter__(self):
        self._rich.start()
        return self

    def __exit__(self, *_):
        self._rich.stop()

    @property
    def done(self) -> float:
        """The work that was counted so far."""
        return self._task.completed

    @property
    def speed(self) -> float | None:
        """The recent work per second, None while it is not known."""
        return self._task.speed

    @property
    def time_left(self) -> str:
        """The time left at the recent speed, in words, or "" without an end."""
        if self._task.total is None:
            return ""
        if not self.speed:
            return "time left not known yet"
        return f"{format_seconds(max(0, self._task.total - self.done) / self.speed)} left"

    def skip(self, amount: float) -> None:
        """Count work that was done before, as in a resumed run: it says nothing of the speed."""
        self._task.completed += amount

    def change_rest(self, amount: float) -> None:
        """Change the work that is left."""
        self._task.total = self.done + amount

    def advance(self, amount: float, text: str | Callable[[], str], now: bool = False) -> None:
        """Count work, and show `text` with the time left if it is time to, or `now`.

        A function is only asked for its text where it is shown.
        """
        self._rich.advance(self._task.id, amount)
        pause = SECONDS_BETWEEN_UPDATES if self.is_terminal else SECONDS_BETWEEN_LINES
        if not now and self._clock() - self._shown < pause:
            return
        self._shown = self._clock()
        text = text() if callable(text) else text
        line = printable("  ".join(filter(None, [text, self.time_left])))
        if self.is_terminal:
            self._rich.update(self._task.id, description=line, refresh=True)
        else:
            print(line, file=self._stream, flush=True)

    def message(self, text: str, stream=None) -> None:
        """Print a line of its own, on this progress's stream unless told."""
        stream, text = stream or self._stream, printable(text)
        if self.is_terminal and stream.isatty():
            self._rich.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=stream, flush=True)


def track(items: Iterable, label: str, total: int) -> Iterator:
    """Pass items through and show how many of `total` are done, on a terminal only."""
    with Progress(total) as progress:
        for done, item in enumerate(items):
            if progress.is_terminal and done % TRACKED == 0:
                progress.advance(min(done, TRACKED), f"{label}: {done:,} of {total:,}")
            yield item
