"""The progress line: rare in a file, complete, and right about the time left."""

import io

import pytest

from yolov3.runs.training_progress import TrainingProgress, format_seconds

LOSSES = {"total": 6.0, "giou": 1.0, "conf": 2.0, "prob": 3.0, "lr": 1e-3}


class Terminal(io.StringIO):
    """A stream that calls itself a terminal."""

    def isatty(self):
        return True


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self):
        return self.now


def test_progress_line_counts_pixels_for_the_time_left():
    clock, stream = Clock(), Terminal()
    progress = TrainingProgress(stream, clock)
    progress.start_epoch(0, 3, steps=4, batch_size=2, input_size=64)
    clock.now += 50.0  # builds the graph: says nothing of the rest
    progress.step(1, LOSSES, pixels_left=7 * 2 * 64**2)
    clock.now += 1.0
    progress.step(2, LOSSES, pixels_left=2 * 2 * 64**2 + 4 * 2 * 128**2)  # 2 small, 4 of 4 times
    line = stream.getvalue().split("\r")[-1]
    assert line == (
        "epoch 1/3 64 px [==========          ] 2/4  loss 6.00 (giou 1.00, conf 2.00, prob 3.00)"
        "  lr 1.0e-03  2.0 images/s  18 s left\x1b[K"
    )


def test_progress_is_rare_in_a_file_and_complete_at_the_end_of_an_epoch():
    clock, stream = Clock(), io.StringIO()
    progress = TrainingProgress(stream, clock)
    progress.start_epoch(1, 2, steps=40, batch_size=1, input_size=32)
    for done in range(1, 41):
        clock.now += 1.0
        progress.step(done, LOSSES, pixels_left=(40 - done) * 32**2)
    progress.message("validation")
    lines = stream.getvalue().splitlines()
    assert [line.split("] ")[1].split()[0] for line in lines[:-1]] == ["30/40", "40/40"]
    assert lines[0].endswith("1.0 images/s  10 s left") and lines[1].endswith("  0 s left")
    assert lines[-1] == "validation"


def test_a_message_ends_the_progress_line_of_a_terminal_and_stops_its_clock():
    clock, stream = Clock(), Terminal()
    progress = TrainingProgress(stream, clock)
    progress.start_epoch(0, 1, steps=3, batch_size=1, input_size=32)
    for done in (1, 2):
        clock.now += 2.0
        progress.step(done, LOSSES, pixels_left=0)
    clock.now += 500.0  # validation
    progress.message("validation")
    clock.now += 2.0
    progress.step(3, LOSSES, pixels_left=5 * 32**2)
    assert "\x1b[K\nvalidation\n\r" in stream.getvalue()
    assert stream.getvalue().endswith("0.5 images/s  10 s left\x1b[K")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert format_seconds(seconds) == text
