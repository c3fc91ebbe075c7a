"""A budget of minutes: what is measured, the plan that fits, and that a run keeps to it."""

import dataclasses
import math
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import tensorflow as tf
from small_training import NAMES, config_in, thin_network, training_of

from yolov3 import yolov3 as networks
from yolov3.annotations import read_annotations
from yolov3.configs import Config
from yolov3.runs.pace import Costs, Pace, fit_to, longest, measure_costs, time_text
from yolov3.schedule import TrainingSchedule
from yolov3.training import Outcome, train
from yolov3.weights import state_dict

COSTS = Costs(0.01, 1e-6, graph=4.0, validated=200, save=1.0)


def schedule_of(images=1000, **settings):
    return TrainingSchedule(Config(tiny=True, **settings), images)


def test_costs_by_hand():
    schedule = schedule_of(10, train_epochs=1.5, train_batch_size=2, train_input_scales=(1.0,))
    image = 0.01 + 1e-6 * 416**2
    validation = 60 * image + 1.0  # an image takes 0.3 of its time in training
    first = 0.3 * 4.0  # in which the validation is built
    assert COSTS.left(schedule) == pytest.approx(16 * image + 2 * validation + first)
    assert COSTS.left(schedule, 3) == pytest.approx(10 * image + 2 * validation + first)
    assert COSTS.left(schedule, 5) == pytest.approx(6 * image + validation)
    assert COSTS.times(2).left(schedule) == pytest.approx(2 * COSTS.left(schedule) - first)


@pytest.mark.parametrize("images", [3, 100, 1000, 50_000])
@pytest.mark.parametrize("minutes", [1, 3, 10, 100])
def test_a_plan_takes_its_budget(images, minutes):
    costs, seconds = COSTS._replace(validated=min(200, images // 5)), 60 * minutes
    plan = fit_to(schedule_of(images), costs, seconds)
    assert 0.95 * seconds < costs.left(plan) <= seconds
    step = plan.total_steps // 2
    rest = longest(plan, costs, seconds, step=step)  # the time is there again
    assert rest.total_steps > plan.total_steps
    assert 0.9 * seconds < costs.left(rest, step) <= seconds
    over = longest(plan, costs, -1.0, step=step)
    assert over.total_steps == step


def test_a_short_plan_leaves_out_large_sizes_and_shortens_the_warm_up():
    plans = [fit_to(schedule_of(), COSTS, seconds).config for seconds in (90, 400, 3600)]
    assert [len(plan.train_input_scales) for plan in plans] == [1, 2, 3]
    assert [plan.train_warmup_epochs for plan in plans[1:]] == [0.5, 0.5]
    assert plans[0].train_warmup_epochs == pytest.approx(plans[0].train_epochs / 6, abs=1e-3)
    assert plans[2].train_epochs > 15  # more than by default
    limited = fit_to(schedule_of(train_epochs=2), COSTS, 3600, most_epochs=2).config
    assert limited == Config(tiny=True, train_epochs=2, train_warmup_epochs=0.333)


# A run in a time of its own


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Step:
    """A training step that takes what `costs` say, as many times as long as `load` says."""

    ema, is_frozen, config = None, False, Config()

    def __init__(self, clock, costs, load):
        self.clock, self.costs, self.load, self.step_count = clock, costs, load, 0

    def seconds(self, size, images):
        image = self.costs.per_image + self.costs.per_pixel * size**2
        return image * images * self.load(self.clock.now)

    def __call__(self, size):
        self.clock.now += self.seconds(size, 4)
        self.step_count += 1
        return {"skipped_in_a_row": tf.constant(0)}


def run(minutes, load, images=1000, is_measured=True):
    """Train by a plan; return the minutes it took and how often the plan was changed."""
    clock, seconds = Clock(), 60 * minutes
    step = Step(clock, COSTS._replace(validated=0), load)
    costs = COSTS if is_measured else COSTS.times(0.7)._replace(per_image=0.0)
    manager = MagicMock(epochs_done=0, timer=MagicMock(is_due=lambda *_: False))
    manager.pace = pace = Pace(minutes, clock)
    clock.now += 5.0  # data, network, measurement, graph
    pace.costs, pace.schedule = costs, fit_to(schedule_of(images), costs, seconds - 5)

    def validate(_, size):
        clock.now += step.seconds(size, 0.3 * COSTS.validated) + COSTS.save
        clock.now += 0.3 * COSTS.graph if step.step_count == pace.schedule.last_step(0) else 0
        return {}

    def batches(size, steps):
        return ((size, np.array([[0, 0]])) for _ in range(*steps))

    changes, stop = 0, SimpleNamespace(requested=False)
    while True:
        stop.requested = False
        arguments = (pace.schedule, manager, MagicMock(), stop)
        outcome = train(step, batches, validate, *arguments)
        if outcome is not Outcome.REPLANNED:
            return clock.now / 60, changes
        changes += 1
        clock.now += costs.graph


LOADS = {
    "as measured": lambda now: 1.0,
    "slower": lambda now: 1.6,
    "faster": lambda now: 0.5,
    "busy for a minute": lambda now: 3.0 if 60 < now < 120 else 1.0,
    "busy from the middle on": lambda now: 1.0 if now < 300 else 2.0,
    "free after a while": lambda now: 2.0 if now < 200 else 1.0,
    "up and down": lambda now: 1.5 + math.sin(now / 40),
}


@pytest.mark.parametrize(("minutes", "images"), [(3, 200), (15, 20_000)])
@pytest.mark.parametrize("load", LOADS)
def test_a_run_ends_in_its_budget_whatever_else_the_machine_does(load, minutes, images):
    took, changes = run(minutes, LOADS[load], images)
    assert took == pytest.approx(minutes, rel=0.1)
    assert changes == 0 if load == "as measured" else changes <= 8


def test_a_run_ends_in_its_budget_although_it_was_measured_badly():
    took, changes = run(10, LOADS["as measured"], is_measured=False)
    assert took == pytest.approx(10, rel=0.1) and changes > 0


def test_a_resumed_run_goes_on_with_the_time_and_the_plan_that_it_had():
    pace = Pace(10, first := Clock())
    pace.costs, pace.most_epochs = COSTS, 7.0
    first.now = 100.0
    again = Pace(10, clock := Clock())
    again.restore(pace.state(), step=50)
    assert (again.costs, again.most_epochs, again.used) == (COSTS, 7.0, 100.0)
    clock.now = 1000.0  # the graph is built
    assert again.used == 100.0 and not again.changed(50) and not again.changed(51)
    clock.now = 1001.0
    assert again.used == 101.0
    for damaged in ([], [1.0], [-1.0, 7.0], [math.nan, 7.0], [1.0] * 8, [[1.0, 2.0]], 5.0):
        with pytest.raises(ValueError, match="^pace: expected the seconds of a run; received "):
            again.restore(np.array(damaged), 50)


# What is measured


@pytest.fixture
def records(digit_scenes, monkeypatch):
    monkeypatch.setattr(networks, "_tiny", thin_network)
    return read_annotations(digit_scenes, len(NAMES))


def test_measuring_leaves_no_trace(records, tmp_path):
    config = config_in(tmp_path, train_input_size=96, train_input_scales=(0.34, 0.67, 1.0))
    training = training_of(dataclasses.replace(config, train_epochs=3), records)
    before, sizes = state_dict(training.train_step.variables()), []
    clock, step = Clock(), training.train_step

    def timed(images, *boxes):
        sizes.append(images.shape[1])
        clock.now += (5.0 if len(sizes) == 1 else 0.0) + 0.1 + images.shape[1] ** 2 * 1e-4
        return step(images, *boxes)

    timed.variables = step.variables
    costs = measure_costs(timed, training.batches, training.schedule, clock)
    assert set(sizes) == {32, 96} and 6 <= len(sizes) <= 20
    assert costs == pytest.approx((0.1 / 4, 1e-4 / 4, 5.0, 0, 0))
    after = state_dict(step.variables())
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)


def test_a_run_of_hours_is_told_what_would_be_shorter():
    pace = Pace(0, Clock())
    pace.costs, pace.schedule = COSTS.times(20), TrainingSchedule(Config(), 1000)
    text = time_text(pace, 0, has_gpu=False)
    assert text.startswith("about 4 h ") and "; with --tiny " in text
    assert "; --max-minutes 60 would choose:\n" in text and "--train-epochs " in text
    assert "max-minutes" not in time_text(pace, 0, has_gpu=True)
    assert time_text(pace, 1400, has_gpu=False).endswith(" min more")
