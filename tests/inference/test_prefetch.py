"""Working ahead: order, bounds, errors, and leaving early."""

import threading
import time

import pytest

from yolov3.inference.prefetch import prefetch

PATIENCE_S = 10


def counted(limit, taken):
    for number in range(limit):
        taken.append(number)
        yield number


def test_results_come_in_order_whichever_is_ready_first():
    def work(number):
        time.sleep(0.01 * (number % 3 == 0))
        return number * 10

    results = prefetch(counted(20, []), work, workers=4, ahead=5, stop=threading.Event())
    assert list(results) == [number * 10 for number in range(20)]


def test_work_is_done_at_the_same_time():
    together = threading.Barrier(3, timeout=PATIENCE_S)  # broken unless three work at once
    stop = threading.Event()
    assert len(list(prefetch(counted(6, []), lambda _: together.wait(), 3, 6, stop))) == 6


def test_no_more_is_taken_than_may_wait():
    taken, stop = [], threading.Event()
    results = prefetch(counted(1000, taken), lambda number: number, 2, 3, stop)
    assert next(results) == 0
    time.sleep(0.3)
    assert 4 <= len(taken) <= 5  # the one that was used, 3 that wait, one at the door
    results.close()


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_errors_come_in_their_turn(stages):
    def work(number):
        if number == 5:
            raise ValueError("five")
        return number

    stop, results, seen = threading.Event(), counted(1000, []), []
    for stage in range(stages):
        results = prefetch(results, work if stage == 0 else lambda x: x, 2, 2, stop)
    with pytest.raises(ValueError, match="five"):
        for number in results:
            seen.append(number)
    assert seen == [0, 1, 2, 3, 4]


def test_an_error_of_the_items_comes_after_their_results():
    def items():
        yield 1
        raise OSError("disk")

    results = prefetch(items(), lambda number: number, 2, 2, threading.Event())
    assert next(results) == 1
    with pytest.raises(OSError, match="disk"):
        next(results)


def test_closing_ends_all_stages_and_their_threads():
    before, stop, ended = threading.active_count(), threading.Event(), threading.Event()

    def endless():
        try:
            while True:
                yield 0
        finally:
            ended.set()

    inner = prefetch(endless(), lambda number: number, 2, 2, stop)
    outer = prefetch(inner, lambda number: number, 2, 2, stop)
    assert next(outer) == 0
    outer.close()
    assert ended.wait(PATIENCE_S) and threading.active_count() == before


def test_ctrl_c_does_not_wait_for_a_stage_that_waits():
    stop, slow = threading.Event(), threading.Event()

    def waits():
        yield 0
        while not stop.is_set():  # as `newest` does
            slow.wait(0.01)

    inner = prefetch(waits(), lambda number: number, 1, 1, stop)
    outer = prefetch(inner, lambda number: number, 1, 1, stop)
    assert next(outer) == 0
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        outer.throw(KeyboardInterrupt)
    assert time.monotonic() - started < PATIENCE_S
