"""The learning rate per step, the input size per epoch, and the steps of a run."""

import math

import pytest

from yolov3.configs import Config
from yolov3.schedule import (
    TrainingSchedule,
    input_size_of,
    is_out_of_patience,
    learning_rate_schedule,
)

PEAK, END = 1e-3, 1e-6


def rate(warmup_steps, total_steps, step):
    schedule = learning_rate_schedule(PEAK, END, warmup_steps, total_steps)
    return float(schedule(step))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.0),
        (1, PEAK / 100),
        (50, PEAK / 2),
        (100, PEAK),  # the warm-up ends
        (600, (PEAK + END) / 2),  # the middle of 100 .. 1100
        (350, END + (PEAK - END) * (1 + math.cos(math.pi / 4)) / 2),  # a quarter
        (1100, END),
        (5000, END),
    ],
)
def test_warm_up_then_cosine(step, expected):
    assert rate(100, 1100, step) == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_without_warm_up_the_first_step_runs_at_the_peak():
    assert rate(0, 1000, 0) == pytest.approx(PEAK)
    assert rate(0, 1000, 500) == pytest.approx((PEAK + END) / 2, rel=1e-4)
    assert rate(0, 1000, 1000) == pytest.approx(END, rel=1e-3)


@pytest.mark.parametrize("total_steps", [1, 10, 99, 100])
def test_a_warm_up_as_long_as_the_run_or_longer_only_rises(total_steps):
    rates = [rate(100, total_steps, step) for step in range(total_steps)]
    assert rates == pytest.approx([PEAK * step / 100 for step in range(total_steps)], abs=1e-9)


@pytest.mark.parametrize(
    ("epochs", "scales", "sizes"),
    [
        (1, (0.5, 0.75, 1.0), [416]),  # the last epoch has the last scale
        (2, (0.5, 1.0), [192, 416]),  # 208 is 6.5 x 32: halves go to the even side
        (2, (0.01, 1.0), [32, 416]),
        (5, (1.0,), [416] * 5),
        (5, (0.54, 0.77, 1.0), [224, 320, 320, 416, 416]),
        (10, (0.54, 0.77, 1.0), [224] * 3 + [320] * 3 + [416] * 4),
        (10, (0.54, 1.0), [224] * 5 + [416] * 5),
        (4.5, (0.54, 0.77, 1.0), [224, 320, 320, 416, 416]),
        (0.3, (0.54, 1.0), [416]),
    ],
)
def test_input_sizes_of_a_run(epochs, scales, sizes):
    config = Config(train_epochs=epochs, train_input_scales=scales)
    assert [input_size_of(config, epoch) for epoch in range(math.ceil(epochs))] == sizes


def test_steps_sizes_and_pixels_by_hand():
    config = Config(
        train_epochs=3, train_batch_size=4, train_input_size=64, train_input_scales=(0.5, 1.0, 1.0)
    )
    schedule = TrainingSchedule(config, num_images=9)
    assert (schedule.steps_per_epoch, schedule.total_steps) == (3, 9)
    assert [schedule.input_size(epoch) for epoch in range(3)] == [32, 64, 64]
    assert [schedule.last_step(epoch) for epoch in range(3)] == [3, 6, 9]
    assert [schedule.pixels_before(step) for step in (0, 1, 3)] == [0, 4 * 32**2, 12 * 32**2]
    assert schedule.pixels_before(4) == 4 * (3 * 32**2 + 64**2)
    assert schedule.pixels_before(9) == 4 * (3 * 32**2 + 6 * 64**2)
    random = schedule.change(augment_sizes=(0.5, 1.0, 1.5))  # 32, 32 and 64 in the first epoch
    assert random.pixels_before(3) == 4 * (32**2 + 32**2 + 64**2)
    assert random.pixels_of(2) == (32**2 + 64**2 + 96**2) // 3


@pytest.mark.parametrize(
    ("epochs", "last_steps"),
    [(2.5, [10, 20, 25]), (2.04, [10, 20]), (0.3, [3]), (0.01, [1])],
)
def test_the_last_epoch_may_be_a_part_of_one(epochs, last_steps):
    schedule = TrainingSchedule(Config(train_epochs=epochs, train_batch_size=1), num_images=10)
    assert (schedule.epochs, schedule.total_steps) == (len(last_steps), last_steps[-1])
    assert [schedule.last_step(epoch) for epoch in range(schedule.epochs)] == last_steps
    ended = [schedule.epochs_after(step) for step in range(schedule.total_steps + 1)]
    assert ended == [sum(step >= last for last in last_steps) for step in range(len(ended))]


@pytest.mark.parametrize(
    ("epochs", "close", "mosaics", "sizes"),
    [
        (6, 0.33, 4, [416] * 6),  # as the last size, whatever the own one is
        (3, 1 / 3, 2, [416] * 3),
        (15, 0.6, 6, [416] * 6 + [320] * 4 + [416] * 5),
        (4.5, 0.33, 3, [416] * 5),
        (4.5, 0.0, 5, [416] * 5),
        (0.3, 0.5, 0, [416]),
        (2, 1.0, 0, [320, 416]),
    ],
)
def test_mosaics_end_before_the_last_part_of_a_run(epochs, close, mosaics, sizes):
    thirds = {"train_input_scales": (0.54, 0.77, 1.0)}
    config = Config(train_epochs=epochs, augment_mosaic=0.5, augment_close=close, **thirds)
    schedule = TrainingSchedule(config, num_images=100)
    count = range(schedule.epochs)
    assert [schedule.mixes_images(epoch) for epoch in count] == [epoch < mosaics for epoch in count]
    assert [schedule.detection_size(epoch) for epoch in count] == sizes
    without = schedule.change(augment_mosaic=0.0)
    assert all(without.detection_size(epoch) == without.input_size(epoch) for epoch in count)


@pytest.mark.parametrize(
    ("patience", "epochs_done", "best_epoch", "is_out"),
    [
        (0, 30, 1, False),
        (3, 25, 23, False),
        (3, 26, 23, True),
        (3, 20, 1, False),
        (3, 22, 1, False),
        (3, 23, 1, True),
    ],
)
def test_patience_counts_epochs_at_the_last_input_size(patience, epochs_done, best_epoch, is_out):
    scales = 0.5, 0.5, 1.0  # from epoch 21 on it has 416 px
    config = Config(patience=patience, train_epochs=30, train_input_scales=scales)
    assert is_out_of_patience(config, epochs_done, best_epoch) == is_out
