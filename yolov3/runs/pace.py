"""How long a run takes, measured before it begins, and how it keeps to a budget of minutes."""

import math
import time
from typing import NamedTuple

import numpy as np

from yolov3.cli.progress import counted, format_seconds
from yolov3.configs import EPOCHS, TINY_EPOCHS
from yolov3.runs.resources import weight_bytes
from yolov3.schedule import TrainingSchedule
from yolov3.train_step import TrainStep
from yolov3.weights import assign_by_name, state_dict

TIMED_STEPS, TIMED_SECONDS = 8, 2.0  # at each size: until either is reached, but two at least
VALIDATION_SHARE = 0.3  # of the time that an image takes in training: its way forward, and NMS
SETS_SAVED = 6  # of weights, after each epoch: 5 in the last checkpoint, 1 in the best
SAVED_PER_SECOND = 300e6  # bytes of checkpoints, checksums and log included
FINER = 0.99  # a plan is found to a percent
STEPS_PER_SIZE = 400  # what an input size needs to be worth it
WARMUP_SHARE = 1 / 6  # of a run, at most
CHECKS = tuple(1 - 0.75**n for n in range(1, 9))  # shares of the budget: a look at each
TINY_SHARE = 0.1  # of the time of an image in Darknet-53
HOUR = 3600.0  # seconds
INDENT = " " * 12  # of the plan that is printed
TOLERANCE = 0.05  # of the budget: what a plan may miss it by before it is changed


class Costs(NamedTuple):
    """What takes how many seconds in a run."""

    per_image: float  # in training, to which comes
    per_pixel: float  # of the input
    graph: float  # to build that of the training step
    validated: float  # images, after each epoch
    save: float  # the checkpoints of an epoch

    def left(self, schedule: TrainingSchedule, step: int = 0) -> float:
        """Return the seconds from a step on to the end, with validations and checkpoints."""
        per_epoch = schedule.steps_per_epoch
        is_first = self.validated and step < per_epoch  # whose graph is to be built, too
        seconds = self.graph * VALIDATION_SHARE if is_first else 0.0
        for epoch in range(step // per_epoch, schedule.epochs):
            steps = schedule.last_step(epoch) - max(step, epoch * per_epoch)
            images = steps * schedule.batch_size + self.validated * VALIDATION_SHARE
            image = self.per_image + self.per_pixel * schedule.input_size(epoch) ** 2
            seconds += images * image + self.save
        return seconds

    def times(self, factor: float) -> "Costs":
        """Return the costs on a machine that takes so many times as long."""
        scaled = [factor * seconds for seconds in self]
        return Costs(*scaled)._replace(validated=self.validated, graph=self.graph)


def measure_costs(
    train_step: TrainStep, make_batches, schedule: TrainingSchedule, clock=time.perf_counter
) -> Costs:
    """Time some steps at the smallest and the largest input size, and undo what they learned.

    The time of an image is linear in its pixels. Returns no costs of validations and saves.
    """
    before, seconds, graph = state_dict(train_step.variables()), {}, 0.0
    sizes = [schedule.input_size(epoch) for epoch in range(schedule.epochs)]
    for size in sorted({min(sizes), max(sizes)}):
        times = [clock()]
        for *batch, _ in make_batches(size, (0, 1 + TIMED_STEPS)):
            train_step(*batch)["total"].numpy()  # waits for a GPU, too
            times.append(clock())
            if len(times) > 3 and times[-1] - times[1] >= TIMED_SECONDS:
                break
        first, *others = np.diff(times)
        seconds[size] = float(np.median(others))
        graph = graph or max(0.0, float(first) - seconds[size])
    assign_by_name(train_step.variables(), before)
    (small, fast), (large, slow) = min(seconds.items()), max(seconds.items())
    per_pixel = (slow - fast) / (large**2 - small**2) if large > small else fast / small**2
    per_pixel = max(0.0, per_pixel)
    images = schedule.batch_size
    return Costs(max(0.0, fast - per_pixel * small**2) / images, per_pixel / images, graph, 0, 0)


def fit_to(
    schedule: TrainingSchedule, costs: Costs, seconds: float, most_epochs: float = math.inf
) -> TrainingSchedule:
    """Return the best run that ends in `seconds`: as many epochs as fit, `most_epochs` at most.

    Where they are few, the largest input sizes are left out, and the warm-up is shorter.
    """
    scales = schedule.config.train_input_scales
    for count in range(len(scales), 0, -1):
        plan = longest(
            schedule.change(train_input_scales=scales[:count]), costs, seconds, most_epochs
        )
        enough = STEPS_PER_SIZE * len(set(scales[:count]))
        if plan.total_steps >= enough or plan.config.train_epochs == most_epochs:
            break
    warmup = round(plan.config.train_epochs * WARMUP_SHARE, 3)
    return plan.change(train_warmup_epochs=min(plan.config.train_warmup_epochs, warmup))


def longest(
    schedule: TrainingSchedule, costs: Costs, seconds: float, most_epochs=math.inf, step: int = 0
) -> TrainingSchedule:
    """Return the schedule with the most epochs that ends within `seconds` after `step`."""
    scales, per_epoch = schedule.config.train_input_scales, schedule.steps_per_epoch
    fastest = schedule.change(train_epochs=1, train_input_scales=(min(scales),))
    an_epoch = costs._replace(graph=0).left(fastest)
    most = min(most_epochs * per_epoch, step + seconds / an_epoch * per_epoch)
    steps = max(step, round(most))
    while True:
        plan = schedule.change(train_epochs=_plain(max(1, steps) / per_epoch))
        if steps <= max(1, step) or costs.left(plan, step) <= seconds:
            return plan
        steps = step + int((steps - step) * FINER)


def _plain(number: float) -> float:
    """Return a number as a person would type it."""
    number = float(f"{number:.6g}")
    return int(number) if number.is_integer() else number


def plan(training, most_epochs: float | None, has_new_budget: bool = True) -> None:
    """Find out what a `Training` costs, and fit it to its budget of minutes if that is new.

    `most_epochs` is what --train-epochs asks for, if anything. Raises ValueError if the budget is
    over before the first step.
    """
    pace, schedule, step = training.manager.pace, training.schedule, training.step
    costs = pace.costs or measure_costs(training.train_step, training.batches, schedule)
    saved = SETS_SAVED * weight_bytes(training.config, len(training.class_names))
    costs = costs._replace(validated=len(training.test_records), save=saved / SAVED_PER_SECOND)
    pace.costs, pace.schedule, pace.most_epochs = costs, schedule, most_epochs or pace.most_epochs
    if pace.budget == math.inf or not has_new_budget:
        return
    seconds = pace.budget - pace.used - costs.graph
    if step:
        pace.schedule = longest(schedule, costs, seconds, pace.most_epochs, step)
    else:
        pace.schedule = fit_to(schedule, costs, seconds, pace.most_epochs)
        _check_length(pace, seconds)
    training.follow(pace.schedule)


def _check_length(pace, seconds):
    """Say what a budget that is too small for anything to be learned would have to be."""
    schedule, costs = pace.schedule, pace.costs
    steps, epochs = schedule.total_steps, STEPS_PER_SIZE / schedule.steps_per_epoch
    enough = costs.left(schedule.change(train_epochs=epochs)) + pace.budget - seconds
    minutes = f"--max-minutes {math.ceil(enough / 60)} is enough for {STEPS_PER_SIZE} steps"
    if costs.left(schedule) > seconds:
        raise ValueError(f"max_minutes: over before the first step; {minutes}")
    if steps < STEPS_PER_SIZE and schedule.config.train_epochs < pace.most_epochs:
        print(f"note: little is learned in {counted(steps, 'step')}; {minutes}")


def time_text(pace: "Pace", step: int, has_gpu: bool) -> str:
    """Say how long a run takes, and what would shorten one of hours."""
    schedule, costs = pace.schedule, pace.costs
    left, config = costs.left(schedule, step), schedule.config
    text = f"about {_about(left)}{' more' if step else ''}"
    if pace.budget < math.inf:
        text += f", to end in the {_about(pace.budget)} of --max-minutes"
        return text if step else f"{text}; without it the same are:\n{INDENT}{_flags(config)}"
    if left < HOUR or has_gpu or step:
        return text
    if not config.tiny:
        epochs = TINY_EPOCHS / EPOCHS if config.train_epochs == EPOCHS else 1
        text += f"; with --tiny {_about(left * TINY_SHARE * epochs)}"
    hour = fit_to(schedule, costs, HOUR).config
    return f"{text}; --max-minutes 60 would choose:\n{INDENT}{_flags(hour)}"


def _flags(config):
    scales = " ".join(f"{scale:g}" for scale in config.train_input_scales)
    return (
        f"--train-epochs {config.train_epochs:g} --train-input-scales {scales} "
        f"--train-warmup-epochs {config.train_warmup_epochs:g}"
    )


def _about(seconds):
    return f"{seconds / 60:.0f} min" if 60 <= seconds < HOUR else format_seconds(seconds)


class Pace:
    """The seconds that a run has used, and whether its schedule still ends in its budget."""

    def __init__(self, minutes: float, clock=time.monotonic):
        """Begin now; a budget of 0 minutes is none."""
        self.budget = 60 * minutes or math.inf  # seconds
        self.schedule: TrainingSchedule | None = None
        self.costs: Costs | None = None
        self.most_epochs = math.inf
        self._clock, self.started = clock, clock()
        self._used, self._first, self._checked = 0.0, 0, None

    def restore(self, state: np.ndarray, step: int) -> None:
        """Go on as `state` says; the clock does so when the first step after `step` is done.

        Raises ValueError for what `state` never returned.
        """
        if state.shape not in ((2,), (2 + len(Costs._fields),)) or not (state >= 0).all():
            raise ValueError(
                f"pace: expected the seconds of a run; received {state.tolist()!r:.80}"
            )
        self._used, self.most_epochs, *costs = map(float, state)
        self.costs = Costs(*costs) if costs else None
        self.started, self._first = None, step

    def state(self) -> np.ndarray:
        """Return what a resumed run needs to know, float64."""
        return np.array([self.used, self.most_epochs, *(self.costs or ())])

    @property
    def used(self) -> float:
        """The seconds that were used so far, before a resume, too."""
        return self._used if self.started is None else self._clock() - self.started

    def changed(self, step: int) -> bool:
        """Tell before each step whether the schedule had to be changed to end in the budget."""
        if self.budget == math.inf or step == self._first:  # whose graph is still to be built
            return False
        if self.started is None:
            self.started = self._clock() - self._used
        used = self.used
        before, first = self._checked = self._checked or (used, step)
        if not any(before < share * self.budget <= used for share in CHECKS):
            return False
        self._checked = used, step
        left = self.costs.left(self.schedule, step)
        slowdown = (used - before) / (self.costs.left(self.schedule, first) - left)
        if abs(used + slowdown * left - self.budget) <= TOLERANCE * self.budget:
            return False
        costs, earlier = self.costs.times(slowdown), self.schedule
        seconds = self.budget - used - costs.graph - costs.save
        self.costs = costs
        self.schedule = longest(earlier, costs, seconds, self.most_epochs, step)
        if self.schedule.total_steps == earlier.total_steps:
            return False
        self._first, self._checked = step, None
        return True
