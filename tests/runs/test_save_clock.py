"""When to save: whatever fails, at most five minutes of work are lost."""

import pytest

from yolov3.runs.save_clock import MOST_SECONDS_LOST, SaveTimer


class Clock:
    """A clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self):
        return self.now


def lost_at_worst(step: float, save: float, steps: int = 2000) -> float:
    """Return the most seconds of work that were ever without a whole save."""
    clock = Clock()
    saves = SaveTimer(clock)
    worst, safe_at = 0.0, clock.now
    for _ in range(steps):
        clock.now += step
        saves.done("step")
        if saves.is_due("step"):
            began = clock.now
            clock.now += save
            saves.done("save")
            worst, safe_at = max(worst, clock.now - safe_at), began  # a kill just before the end
        worst = max(worst, clock.now - safe_at)
    return worst


@pytest.mark.parametrize(("step", "save"), [(0.5, 1.0), (70.0, 10.0), (140.0, 5.0), (2.0, 100.0)])
def test_slow_steps_and_slow_saves_lose_five_minutes_at_most(step, save):
    # The first save takes longer than was known; the others are planned for.
    assert lost_at_worst(step, save) <= MOST_SECONDS_LOST + save
    assert lost_at_worst(step, save) >= min(200, MOST_SECONDS_LOST - step - save)


def test_saves_are_no_more_than_needed():
    clock = Clock()
    saves, count = SaveTimer(clock), 0
    for _ in range(3600):
        clock.now += 1.0
        saves.done("step")
        if saves.is_due("step"):
            count += 1
            saves.done("save")
    assert count == 12  # an hour


def test_a_step_of_more_than_five_minutes_is_saved_each_time():
    clock = Clock()
    saves = SaveTimer(clock)
    for _ in range(3):
        clock.now += 400.0
        saves.done("step")
        assert saves.is_due("step")
        saves.done("save")


def test_a_long_validation_is_saved_before():
    clock = Clock()
    saves = SaveTimer(clock)
    for _ in range(23):
        clock.now += 10.0
        saves.done("step")
    assert not saves.is_due("validation")  # a minute is expected
    clock.now += 200.0
    saves.done("validation")
    saves.done("save")
    for _ in range(12):
        clock.now += 10.0
        saves.done("step")
    assert saves.is_due("validation") and not saves.is_due("step")


def test_a_measured_validation_takes_the_place_of_the_guess():
    clock = Clock()
    saves = SaveTimer(clock)
    clock.now += 20.0
    saves.done("validation")
    saves.done("save")
    clock.now += 270.0  # in which a minute more would not be, but 20 seconds are
    saves.done("step")
    assert not saves.is_due("validation")
