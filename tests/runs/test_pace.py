"""A budget of minutes: what is measured, the plan that fits, and that a run keeps to it."""

import dataclasses
import math
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import tensorflow as tf
from small_training import NAMES, config_in, fit, thin_network, training_of

from yolov3 import yolov3 as networks
from yolov3.annotations import read_annotations
from yolov3.configs import Config
from yolov3.runs.resources import Costs, Pace, fit_to, longest, measure_costs, time_text
from yolov3.schedule import TrainingSchedule, rounded_size
from yolov3.train_step import TrainStep
from yolov3.training import Outcome, train
from yolov3.weights import state_dict

SECONDS = {size: 0.01 + 1e-6 * size**2 for size in (224, 320, 416)}  # an image
COSTS = Costs(SECONDS, validated=200, save=1.0)


def schedule_of(images=1000, **settings):
    return TrainingSchedule(Config(tiny=True, **settings), images)


def test_costs_by_hand():
    schedule = schedule_of(10, train_epochs=1.5, train_batch_size=2, train_input_scales=(1.0,))
    image = SECONDS[416]
    validation = 60 * image + 1.0  # an image takes 0.3 of its time in training
    assert COSTS.left(schedule) == pytest.approx(16 * image + 2 * validation)
    assert COSTS.left(schedule, 3) == pytest.approx(10 * image + 2 * validation)
    assert COSTS.left(schedule, 5) == pytest.approx(6 * image + validation)


@pytest.mark.parametrize("images", [3, 100, 1000, 50_000])
@pytest.mark.parametrize("minutes", [1, 3, 10, 100])
def test_a_plan_takes_its_budget(images, minutes):
    costs, seconds = COSTS._replace(validated=min(200, images // 5)), 60 * minutes
    plan = fit_to(schedule_of(images), costs, seconds)
    assert 0.95 * seconds < costs.left(plan) <= seconds
    step = plan.total_steps // 2
    rest = longest(plan, costs, seconds, step=step)  # the time is there again
    assert rest.total_steps > plan.total_steps
    validation = 60 * SECONDS[416] + 1.0  # for which there may be no time: no further epoch
    assert 0.9 * seconds - validation < costs.left(rest, step) <= seconds
    over = longest(plan, costs, -1.0, step=step)
    assert over.total_steps == step


def test_a_short_plan_leaves_out_large_sizes_and_shortens_the_warm_up():
    plans = [fit_to(schedule_of(), COSTS, seconds).config for seconds in (90, 400, 3600)]
    assert [len(plan.train_input_scales) for plan in plans] == [1, 2, 3]
    assert [plan.train_warmup_epochs for plan in plans[1:]] == [0.5, 0.5]
    assert plans[0].train_warmup_epochs == pytest.approx(plans[0].train_epochs / 6, abs=1e-3)
    assert plans[2].train_epochs > 15  # more than by default
    mosaics = schedule_of(augment_mosaic=1.0)  # show objects as large as in sizes that are left out
    plans = [fit_to(mosaics, COSTS, seconds) for seconds in (90, 3600)]
    assert [plan.config.augment_close for plan in plans] == [0.0, mosaics.config.augment_close]
    assert [plan.detection_size(plan.epochs - 1) for plan in plans] == [416, 416]
    with pytest.raises(ValueError, match="max_minutes: over before the next step"):
        fit_to(schedule_of(), COSTS, 2.0)


# A run in a time of its own


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Step:
    """A training step that takes what `SECONDS` say, as many times as long as `load` says."""

    ema, is_frozen, config = None, False, Config()

    def __init__(self, clock, load):
        self.clock, self.load, self.step = clock, load, 0

    def seconds(self, size, images):
        return SECONDS[size] * images * self.load(self.clock.now)

    def __call__(self, size):
        self.clock.now += self.seconds(size, 4)
        self.step += 1
        return {"skipped_in_a_row": tf.constant(0)}


def run(minutes, load, images=1000, is_measured=True):
    """Train by a plan; return the minutes it took and how often the plan was changed."""
    clock, seconds = Clock(), 60 * minutes
    step = Step(clock, load)
    costs = COSTS if is_measured else COSTS._replace(image=dict.fromkeys(SECONDS, 0.05))
    manager = MagicMock(epochs_done=0, timer=MagicMock(is_due=lambda *_: False))
    manager.pace = pace = Pace(minutes, clock)
    clock.now += 5.0  # data, network, measurement
    pace.start(costs, fit_to(schedule_of(images), costs, seconds - 5), 0, 5.0)

    def validate(_, size):
        clock.now += step.seconds(size, 0.3 * COSTS.validated) + COSTS.save
        clock.now += 2.0 if step.step == pace.schedule.last_step(0) else 0  # its graph
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


LOADS = {
    "as measured": lambda now: 1.0,
    "slower": lambda now: 1.6,
    "faster": lambda now: 0.5,
    "busy for a minute": lambda now: 3.0 if 60 < now < 120 else 1.0,
    "busy from the middle on": lambda now: 1.0 if now < 300 else 2.0,
    "free after a while": lambda now: 2.0 if now < 200 else 1.0,
    "up and down": lambda now: 1.5 + math.sin(now / 40),
}


@pytest.mark.parametrize(("minutes", "images"), [(1.2, 1000), (2.5, 200), (3, 200), (15, 20_000)])
@pytest.mark.parametrize("load", LOADS)
def test_a_run_ends_in_its_budget_whatever_else_the_machine_does(load, minutes, images):
    took, changes = run(minutes, LOADS[load], images)
    assert took == pytest.approx(minutes, rel=0.1)
    assert changes == 0 if load == "as measured" else changes <= 8


def test_a_run_ends_in_its_budget_although_it_was_measured_badly():
    took, changes = run(10, LOADS["as measured"], is_measured=False)
    assert took == pytest.approx(10, rel=0.1) and changes > 0


def test_a_pause_before_the_first_step_is_no_speed():
    pace = Pace(1, clock := Clock())
    pace.start(COSTS, schedule_of(), 0, 0.0)
    clock.now = 50.0
    assert not pace.changed(0) and pace.changed(1) and pace.schedule.total_steps == 1


# What is measured


@pytest.fixture
def records(digit_scenes, monkeypatch):
    monkeypatch.setattr(networks, "_tiny", thin_network)
    return read_annotations(digit_scenes, len(NAMES))


@pytest.mark.parametrize("fractions", [(1.0,), (0.34, 0.67, 1.0)])  # of an epoch's size
def test_measuring_leaves_no_trace(fractions, records, tmp_path, monkeypatch):
    config = config_in(tmp_path, train_input_size=96, train_input_scales=(0.34, 0.67, 1.0))
    config = dataclasses.replace(config, augment_sizes=fractions)
    training = training_of(dataclasses.replace(config, train_epochs=3), records)
    before, sizes = state_dict(training.train_step.variables()), []
    clock, call = Clock(), TrainStep.__call__

    def timed(step, images, *boxes):
        sizes.append(images.shape[1])
        clock.now += (5.0 if len(sizes) == 1 else 0.0) + 0.1 + images.shape[1] ** 2 * 1e-4
        return call(step, images, *boxes)

    monkeypatch.setattr(TrainStep, "__call__", timed)
    costs = measure_costs(training, clock)
    assert set(sizes) == {32, 64, 96} and 9 <= len(sizes) <= 3 * 31
    drawn = {size: [rounded_size(size * one) for one in fractions] for size in set(sizes)}
    seconds = {size: [0.1 + one**2 * 1e-4 for one in drawn[size]] for size in drawn}
    expected = {size: np.mean(seconds[size]) / 4 for size in drawn}
    assert costs.image == pytest.approx(expected) and costs.validated == 0
    after = state_dict(training.train_step.variables())
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)


def test_a_frozen_backbone_builds_no_graph_after_the_measurement(records, tmp_path, monkeypatch):
    built, build = [], TrainStep._step
    monkeypatch.setattr(TrainStep, "_step", lambda *args: built.append(0) or build(*args))
    training = training_of(config_in(tmp_path, freeze_epochs=1), records)
    measure_costs(training)
    assert len(built) == 2 and not training.train_step.is_frozen
    fit(training)
    assert len(built) == 2 and training.step == training.schedule.total_steps


def test_a_run_of_hours_is_told_what_would_be_shorter():
    pace, schedule = Pace(0, Clock()), TrainingSchedule(Config(), 1000)
    pace.start(COSTS._replace(image=dict.fromkeys((192, 320, 416), 2.0)), schedule, 0, 0.0)
    text = time_text(pace, schedule.config, has_gpu=False)
    assert text.startswith("about 4 h ") and "--tiny" in text and "--max-minutes 60 " in text
    assert time_text(pace, schedule.config, has_gpu=True) == text.partition(";")[0]
    assert not pace.changed(1)
