"""Tests of StopRequest with real signals."""

import os
import signal

import pytest

from yolov3.runs.interrupts import StopRequest


@pytest.mark.parametrize("number", StopRequest.SIGNALS)
def test_first_signal_asks(number):
    with StopRequest() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested


def test_second_signal_acts_at_once():
    with pytest.raises(KeyboardInterrupt), StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        os.kill(os.getpid(), signal.SIGINT)


def test_signals_are_as_before_afterwards():
    before = [signal.getsignal(number) for number in StopRequest.SIGNALS]
    with StopRequest():
        assert [signal.getsignal(number) for number in StopRequest.SIGNALS] != before
    assert [signal.getsignal(number) for number in StopRequest.SIGNALS] == before
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_signals_are_as_before_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), StopRequest():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGTERM) == before
