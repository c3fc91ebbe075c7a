"""How long a run takes, measured before it begins, and how it keeps to a budget of minutes."""

import bisect
import math
import time
from typing import NamedTuple

from yolov3.cli.flags import count
from yolov3.cli.progress import format_seconds
from yolov3.runs.resources import weight_bytes
from yolov3.schedule import TrainingSchedule
from yolov3.weights import assign_by_name, state_dict

TIMED_STEPS, TIMED_SECONDS = 30, 2.0  # at each size: until either is reached, but two at least
VALIDATION_SHARE = 0.3  # of the time that an image takes in training: its way forward, and NMS
SAVED_PER_SECOND = 50e6  # bytes of weights: an epoch writes six such sets, with checksums
STEPS_PER_SIZE = 400  # what an input size needs to be worth it
WARMUP_SHARE = 1 / 6  # of a run, at most
TOLERANCE = 0.05  # of the budget: what a plan may miss it by before it is changed
HOUR = 3600.0  # seconds


class Costs(NamedTuple):
    """What takes how many seconds in a run."""

    image: dict[int, float]  # in training, by input size
    validated: int  # images after each epoch
    save: float  # after each epoch

    def left(self, schedule: TrainingSchedule, step: int = 0) -> float:
        """Return the seconds from a step on to the end, with validations and checkpoints."""
        per_epoch, seconds = schedule.steps_per_epoch, 0.0
        for epoch in range(step // per_epoch, schedule.epochs):
            steps = schedule.last_step(epoch) - max(step, epoch * per_epoch)
            images = steps * schedule.batch_size + self.validated * VALIDATION_SHARE
            seconds += images * self.image[schedule.input_size(epoch)] + self.save
        return seconds


class Pace:
    """The seconds that a run has used and has left, and a schedule that ends in its budget."""

    def __init__(self, minutes: float, clock=time.monotonic):
        """Take a budget; 0 minutes are none."""
        self.budget = 60 * minutes or math.inf  # seconds
        self.used_before = 0.0  # a resume
        self.clock, self._started, self._looked, self.schedule = clock, clock(), 0.0, None

    def start(self, costs: Costs, schedule: TrainingSchedule, step: int, used: float) -> None:
        """Begin at a step of a schedule, `used` seconds after the beginning of the run."""
        self.costs, self.schedule, self._started = costs, schedule, self.clock() - used
        self._looked, self.left = used, costs.left(schedule, step)

    @property
    def used(self) -> float:
        """The seconds that were used so far, before a resume, too."""
        return self.clock() - self._started

    def changed(self, step: int) -> bool:
        """Tell before each step whether the schedule had to be changed to end in the budget.

        It looks whenever a quarter of what the budget left at the last look has passed.
        """
        used, last, before = self.used, self._looked, self.schedule
        if used < last + max((self.budget - last) / 4, TOLERANCE * self.budget):
            return False
        left, rest = self.costs.left(before, step), self.budget - used
        if left == self.left:  # no step since then
            return False
        slowdown = (used - last) / (self.left - left)
        if abs(rest - slowdown * left) > TOLERANCE * self.budget:
            self.schedule = longest(before, self.costs, rest / slowdown, step)
        self._looked, self.left = used, self.costs.left(self.schedule, step)
        return self.schedule.total_steps != before.total_steps


def plan(training, started: float, checkpoint=None) -> None:
    """Measure what a `Training` costs, and fit its schedule to a budget that is new.

    It has `started` to use it at a time of `time.monotonic`, unless it resumes a checkpoint.
    Raises ValueError if the budget is over before the next step.
    """
    pace, costs = training.manager.pace, measure_costs(training)
    used = pace.used_before if checkpoint else pace.clock() - started
    if training.config.max_minutes not in (0, checkpoint and checkpoint.config.max_minutes):
        training.follow(fit_to(training.schedule, costs, pace.budget - used, training.step))
    pace.start(costs, training.schedule, training.step, used)


def measure_costs(training, clock=time.perf_counter) -> Costs:
    """Time some steps at each input size, and undo what they learned."""
    variables, scales = training.train_step.variables(), training.config.train_input_scales
    before, whole = state_dict(variables), training.schedule.change(train_epochs=len(scales))
    sizes = sorted({whole.input_size(epoch) for epoch in range(len(scales))})
    image = {size: _seconds_per_image(training, size, clock) for size in sizes}
    assign_by_name(variables, before)
    save = weight_bytes(training.config, len(training.class_names)) / SAVED_PER_SECOND
    return Costs(image, len(training.test_records), save)


def _seconds_per_image(training, size, clock):
    times = []  # from the end of the first step on, which builds the graph
    for *batch, _ in training.batches(size, (0, 1 + TIMED_STEPS)):
        training.train_step(*batch)["total"].numpy()  # waits for a GPU, too
        times.append(clock())
        if len(times) > 2 and times[-1] - times[0] >= TIMED_SECONDS:
            break
    return (times[-1] - times[0]) / (len(times) - 1) / training.schedule.batch_size


def fit_to(schedule: TrainingSchedule, costs: Costs, seconds: float, step=0) -> TrainingSchedule:
    """Return the best run that ends in `seconds`: the longest, with all sizes that are worth it.

    Where the steps are few, the largest sizes are left out, and the warm-up is shorter. Raises
    ValueError if there is no time for one.
    """
    scales = schedule.config.train_input_scales
    for kept in range(len(scales), 0, -1):
        sizes = schedule.change(train_input_scales=scales[:kept])
        best = longest(sizes, costs, seconds, step)
        if best.total_steps >= STEPS_PER_SIZE * len(set(scales[:kept])):
            break
    if costs.left(best, step) > seconds:
        raise ValueError("max_minutes: over before the next step; expected more minutes")
    warmup = round(best.config.train_epochs * WARMUP_SHARE, 3)
    return best.change(train_warmup_epochs=min(best.config.train_warmup_epochs, warmup))


def longest(schedule: TrainingSchedule, costs: Costs, seconds: float, step=0) -> TrainingSchedule:
    """Return the schedule with the most epochs that ends within `seconds` after `step`."""

    def with_steps(steps):
        epochs = count(f"{steps / schedule.steps_per_epoch:.6g}")  # as a person would type it
        return schedule.change(train_epochs=epochs)

    most = step + round(seconds / schedule.batch_size / min(costs.image.values()))
    more = range(step + 1, most + 1)
    fitting = bisect.bisect(more, seconds, key=lambda steps: costs.left(with_steps(steps), step))
    return with_steps(max(1, step + fitting))


def time_text(pace: Pace, config, has_gpu: bool) -> str:
    """Say how long the rest of a run takes, and what would shorten one of hours."""
    text = f"about {format_seconds(pace.left)}"
    if pace.budget < math.inf:
        scales = " ".join(map(str, config.train_input_scales))
        flags = f"--train-epochs {config.train_epochs} --train-input-scales {scales}"
        flags += f" --train-warmup-epochs {config.train_warmup_epochs}"
        return f"{text}; without --max-minutes the same are: {flags}"
    if pace.left < HOUR or has_gpu:
        return text
    tiny = "" if config.tiny else "an epoch of --tiny takes a tenth, and "
    return f"{text}; {tiny}--max-minutes 60 an hour, with as many epochs as fit"
