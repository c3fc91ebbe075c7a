"""Progress: what a terminal and a log file get, and how the time left is estimated."""

import io

import pytest

from yolov3.cli.progress import Progress, track
from yolov3.text import PrintableStream

ERASE_LINE = "\x1b[2K"


class Terminal(io.StringIO):
    """A stream that calls itself a terminal."""

    def isatty(self):
        return True


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_file_gets_a_line_every_thirty_seconds(clock):
    stream = io.StringIO()
    with Progress(100, stream, clock) as progress:
        for done in range(1, 71):
            clock.now += 1
            progress.advance(1, f"{done} images")
        progress.message("validation")
        progress.advance(1, "the last of an epoch", now=True)
    assert stream.getvalue().splitlines() == [
        "30 images  1 min 10 s left",
        "60 images  40 s left",
        "validation",
        "the last of an epoch  29 s left",
    ]


def test_a_terminal_has_one_line_which_is_gone_at_the_end(clock, capsys):
    stream = Terminal()
    with Progress(100, stream, clock) as progress:
        for done in (25, 50):
            clock.now += 5
            progress.advance(25, f"{done}/100 frames")
        assert "50/100 frames  10 s left" in stream.getvalue()
        print("to standard output")
        progress.message("a [bold] :cat:.png")
    assert "a [bold] :cat:.png\n" in stream.getvalue()
    assert stream.getvalue().rpartition("frames")[2].count(ERASE_LINE) >= 1
    assert capsys.readouterr().out == "to standard output\n"


def test_a_message_for_a_file_does_not_go_to_the_terminal(clock, capsys):
    stream, file = Terminal(), io.StringIO()
    with Progress(None, stream, clock) as progress:
        progress.message("found", file)
    assert file.getvalue() == "found\n" and "found" not in stream.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_names_do_not_command_the_terminal(clock, stream):
    with Progress(2, stream, clock) as progress:
        progress.message("\x1b]0;title\x07[red]a\rb\nc\u202e\udcff.png: cat")
        progress.advance(1, "\x1b[2J", now=True)
    assert "\\x1b]0;title\\x07[red]a\\rb\\nc\\u202e\\udcff.png: cat\n" in stream.getvalue()
    assert "\\x1b[2J" in stream.getvalue() and "\x1b[2J" not in stream.getvalue()


def test_a_progress_line_passes_the_filter_of_a_script(clock):
    stream = Terminal()
    with Progress(2, PrintableStream(stream), clock) as progress:
        progress.advance(1, "1 of 2", now=True)
    assert ERASE_LINE in stream.getvalue() and "\\x1b" not in stream.getvalue()


def test_the_time_left_follows_the_recent_speed(clock):
    progress = Progress(1000, io.StringIO(), clock)
    assert progress.time_left == "time left not known yet"
    for seconds in (1, 1, 3600, 1, 1, 1):  # the process was paused
        clock.now += seconds
        progress.advance(10, "")
    assert progress.speed == pytest.approx(10) and progress.done == 60
    assert progress.time_left == "1 min 34 s left"


def test_what_was_done_before_says_nothing_of_the_speed(clock):
    progress = Progress(100, io.StringIO(), clock)
    progress.skip(90)
    for _ in range(3):
        clock.now += 2
        progress.advance(1, "")
    assert progress.done == 93 and progress.time_left == "14 s left"


def test_more_work_than_stated_and_work_without_end(clock):
    for total, expected in ((5, "0 s left"), (None, "")):
        progress = Progress(total, io.StringIO(), clock)
        for _ in range(3):
            clock.now += 1
            progress.advance(4, "")
        assert progress.time_left == expected


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_items_are_tracked_on_a_terminal_only(monkeypatch, stream):
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("yolov3.cli.progress.SECONDS_BETWEEN_UPDATES", 0)
    items = list(range(2000))
    assert list(track(items, "checking", len(items))) == items
    assert ("checking: 1,792 of 2,000" in stream.getvalue()) == stream.isatty()
    assert stream.isatty() or stream.getvalue() == ""
