"""Following something live: the newest is kept, errors are not lost, nobody waits for the dead."""

import threading
import time

import pytest

from yolov3.inference.newest import newest


def test_what_came_while_nobody_asked_is_dropped_but_for_what_must_stay():
    go_on, done = threading.Event(), threading.Event()

    def items():
        yield 1
        go_on.wait(10)
        yield from (2, "error", 3, 4)
        done.set()

    results = newest(items(), lambda item: item != "error", threading.Event())
    assert next(results) == 1
    go_on.set()
    assert done.wait(10)
    assert list(results) == ["error", 4]


def test_an_error_is_raised_after_what_came_before():
    def items():
        yield 1
        raise OSError("unplugged")

    results = newest(items(), lambda _: False, threading.Event())
    assert next(results) == 1
    with pytest.raises(OSError, match="unplugged"):
        next(results)


def test_stop_ends_it_though_the_source_is_stuck():
    stop, stuck = threading.Event(), threading.Event()

    def items():
        yield 1
        stuck.wait(20)

    results = newest(items(), lambda _: True, stop)
    assert next(results) == 1
    stop.set()
    started = time.monotonic()
    assert list(results) == []
    assert time.monotonic() - started < 5
    stuck.set()
