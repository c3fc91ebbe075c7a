"""What a run needs of memory, disk and time: measured before it begins, and held to a budget."""

import bisect
import math
import re
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from yolov3.checkpoints import KEPT, checkpoint_folders
from yolov3.configs import Config
from yolov3.darknet import FLOAT_BYTES, network_floats
from yolov3.schedule import TrainingSchedule, rounded_size
from yolov3.text import format_seconds
from yolov3.weights import assign_by_name, state_dict

# Sets of weights in a "last": the network's, two moments of each weight, and the EMA twice.
SETS_IN_LAST = 5
# The peak memory of a run on a CPU. Fitted to complete runs of a few float32 steps, validation and
# saves (peak resident set, GB): YOLOv3 at 416 px 4.7, 5.0, 6.1 in batches of 1, 2, 4; at 224 px 4.8
# and at 32 px 4.3 in batches of 4; tiny at 416 px 1.9, 2.5 in batches of 4, 8; at 224 px 1.7 of 8.
RUNTIME_BYTES = 0.6e9  # Python, TensorFlow and the other libraries
WEIGHT_SETS = 15  # network, EMA, moments, gradients, validation, and copies while saving
BYTES_PER_PIXEL = {False: 2_700, True: 1_000}  # of activations and their gradients, by `tiny`
CERTAINTY = 0.9  # the estimate is within about a tenth of each of these
GB = 1e9

TIMED_STEPS, TIMED_SECONDS = 30, 2.0  # at each size: until either is reached, but two at least
VALIDATION_SHARE = 0.3  # of the time that an image takes in training: its way forward, and NMS
SAVED_PER_SECOND = 50e6  # bytes of weights: an epoch writes six such sets, with checksums
STEPS_PER_SIZE = 400  # what an input size needs to be worth it
WARMUP_SHARE = 1 / 6  # of a run, at most
TOLERANCE = 0.05  # of the budget: what a plan may miss it by before it is changed
HOUR = 3600.0  # seconds


def check_disk(config: Config, num_classes: int, run_folder: Path | None) -> None:
    """Raise ValueError if the checkpoints that a run keeps do not fit on the disk.

    `run_folder` is the folder of a resumed run, which already has checkpoints.
    """
    folder = Path(run_folder or config.train_checkpoints_folder)
    last = SETS_IN_LAST * weight_bytes(config, num_classes)
    kept = KEPT["best"] * weight_bytes(config, num_classes) + KEPT["last"] * last
    folders = checkpoint_folders(run_folder) if run_folder else ()
    there = sum(file.stat().st_size for folder in folders for file in folder.iterdir())
    needed = max(0, kept - there) + last  # one is written before an older one is removed
    free = available_disk(folder)
    elsewhere = "choose another disk with --train-checkpoints-folder"
    if run_folder:
        elsewhere = "move this folder to another disk and resume it there"
    if free < needed:
        raise ValueError(
            f"{folder}: the checkpoints of this run need {needed / GB:.1f} GB of free disk; there "
            f"is {free / GB:.1f} GB; make room, or {elsewhere}"
        )


def check_memory(config: Config, num_classes: int, precision: str) -> None:
    """Raise ValueError if a run on the CPU clearly needs more memory than there is."""
    available, needed = available_memory(), needed_memory(config, num_classes, precision)
    if available is not None and available < CERTAINTY * needed:
        raise ValueError(
            f"{config.network} at {config.train_input_size} px in batches of "
            f"{config.train_batch_size} needs about {needed / GB:.1f} GB of memory; there is "
            f"{available / GB:.1f} GB; choose a smaller --train-batch-size or --train-input-size"
            f"{'' if config.tiny else ', or --tiny'}"
        )


def needed_memory(config: Config, num_classes: int, precision: str) -> float:
    """Estimate the bytes of memory that a run takes at its peak, on a CPU."""
    largest = max(config.train_input_scales) * max(config.augment_sizes)
    size = largest * config.train_input_size
    activations = config.train_batch_size * size**2 * BYTES_PER_PIXEL[config.tiny]
    if precision != "float32":
        activations /= 2
    return RUNTIME_BYTES + WEIGHT_SETS * weight_bytes(config, num_classes) + activations


def weight_bytes(config: Config, num_classes: int) -> int:
    """Return the bytes of a network's weights in float32, as a checkpoint holds them."""
    return FLOAT_BYTES * network_floats(config.tiny, num_classes)


def available_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes of memory that this process can use, including what it uses already.

    This is Linux's MemAvailable, or what a container's limit (cgroup v2) leaves if that is less.
    None on other systems. `root` is the root of the file system.
    """
    available = _number(root / "proc/meminfo", "MemAvailable:")
    used = _number(root / "proc/self/status", "VmRSS:")
    if available is None or used is None:
        return None
    left = available * 1024
    group = root / "sys/fs/cgroup"
    limit, usage = _number(group / "memory.max"), _number(group / "memory.current")
    if limit is not None and usage is not None:  # a limit of "max" is none
        cached = _number(group / "memory.stat", "inactive_file") or 0
        left = min(left, max(0, limit - usage + cached))
    return left + used * 1024


def available_disk(folder: Path) -> int:
    """Return the bytes that are free where a folder is or will be."""
    folder = Path(folder).absolute()
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.is_dir())).free


def _number(path: Path, name: str = "") -> int | None:
    """Return the number behind a name in a file of lines, or the first one; None without one."""
    try:
        text = path.read_text()
    except OSError:
        return None
    match = re.search(rf"^{name}\s*(\d+)", text, re.MULTILINE)
    return int(match[1]) if match else None


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
            seconds += steps * schedule.batch_size * self.image[schedule.input_size(epoch)]
            validation = self.validated * self.image[schedule.detection_size(epoch)]
            seconds += VALIDATION_SHARE * validation + self.save
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

        It looks whenever a quarter of what the budget left at the last look has passed, and before
        the last step.
        """
        used, last, before = self.used, self._looked, self.schedule
        pause = max((self.budget - last) / 4, TOLERANCE * self.budget)
        if self.budget == math.inf or used < last + pause and step + 1 < before.total_steps:
            return False
        left, rest = self.costs.left(before, step), self.budget - used
        if left == self.left:  # no step since then
            return False
        slowdown = (used - last) / (self.left - left)
        if abs(rest - slowdown * left) > TOLERANCE * self.budget:
            self.schedule = nearest(before, self.costs, rest / slowdown, step)
        self._looked, self.left = used, self.costs.left(self.schedule, step)
        return self.schedule.total_steps != before.total_steps


def plan(training, started: float, checkpoint=None) -> None:
    """Measure what a `Training` costs, and fit its schedule to a budget that is new.

    The time counts from `started`, as `time.monotonic` had it; that of a resumed run goes on.
    Raises ValueError if the budget is over before the next step.
    """
    pace, workers = training.manager.pace, training.workers
    costs = measure_costs(training, workers.now)
    used = pace.used_before if checkpoint else workers.from_chief(pace.clock() - started)
    if training.config.max_minutes not in (0, checkpoint and checkpoint.config.max_minutes):
        training.follow(fit_to(training.schedule, costs, pace.budget - used, training.step))
    pace.start(costs, training.schedule, training.step, used)


def measure_costs(training, clock=time.perf_counter) -> Costs:
    """Time some steps at each input size, and undo what they learned."""
    config, variables = training.config, training.train_step.variables()
    before, sizes = state_dict(variables), timed_sizes(config)
    image = {size: _seconds_per_image(training, size, clock) for size in sizes}
    if training.manager.epochs_done < config.freeze_epochs:  # a graph of its own, to be built now:
        training.train_step.set_frozen(True)  # its seconds are not the speed of the first steps
        [(*batch, _)] = training.batches(min(sizes), (0, 1))
        training.train_step(*batch)
        training.train_step.set_frozen(False)
    assign_by_name(variables, before)
    save = weight_bytes(config, len(training.class_names)) / SAVED_PER_SECOND
    return Costs(image, len(training.test_records), save)


def timed_sizes(config: Config) -> list[int]:
    """Return the input sizes of a run in pixels, those of its validations too, ascending."""
    sizes = {rounded_size(config.train_input_size * scale) for scale in config.train_input_scales}
    if config.augment_mosaic:
        sizes.add(config.train_input_size)  # of the validation: `detection_size`
    return sorted(sizes)


def _seconds_per_image(training, size, clock):
    times = []  # from the end of the first step on, which builds the graph
    for *batch, _ in training.batches(size, (0, 1 + TIMED_STEPS)):
        training.train_step(*batch)["total"].numpy()  # waits for a GPU, too
        times.append(clock())
        are_all_sizes = (len(times) - 1) % len(training.config.augment_sizes) == 0
        if len(times) > 2 and are_all_sizes and times[-1] - times[0] >= TIMED_SECONDS:
            break
    return (times[-1] - times[0]) / (len(times) - 1) / training.schedule.batch_size


def fit_to(schedule: TrainingSchedule, costs: Costs, seconds: float, step=0) -> TrainingSchedule:
    """Return the best run that ends in `seconds`: the longest, with all sizes that are worth it.

    Where the steps are few, the largest sizes are left out, and the warm-up is shorter; mosaics
    then go on to the end. Raises ValueError if there is no time for one step.
    """
    scales = schedule.config.train_input_scales
    while True:
        largest, kept = max(scales), len(set(scales))
        best = longest(schedule, costs, seconds, step)
        if kept == 1 or best.total_steps >= STEPS_PER_SIZE * kept:
            break
        scales = tuple(scale for scale in scales if scale < largest)
        schedule = schedule.change(train_input_scales=scales)
        if schedule.config.augment_mosaic:
            schedule = schedule.change(augment_close=0.0)
    if costs.left(best, step) > seconds or best.total_steps <= step:
        raise ValueError("max_minutes: over before the next step; expected more minutes")
    warmup = round(best.config.train_epochs * WARMUP_SHARE, 3)
    return best.change(train_warmup_epochs=min(best.config.train_warmup_epochs, warmup))


def longest(schedule: TrainingSchedule, costs: Costs, seconds: float, step=0) -> TrainingSchedule:
    """Return the schedule with the most epochs that ends within `seconds` after `step`."""
    most = step + round(seconds / schedule.batch_size / min(costs.image.values()))
    more = range(step + 1, most + 1)

    def seconds_left(steps):
        return costs.left(with_steps(schedule, steps), step)

    return with_steps(schedule, max(1, step + bisect.bisect(more, seconds, key=seconds_left)))


def nearest(schedule: TrainingSchedule, costs: Costs, seconds: float, step=0) -> TrainingSchedule:
    """Return the schedule that ends nearest to `seconds` after `step`.

    A step more than fits may begin an epoch, whose validation takes a large part of a short run.
    """
    fits = longest(schedule, costs, seconds, step)
    plans = fits, with_steps(schedule, fits.total_steps + 1)
    return min(plans, key=lambda plan: abs(costs.left(plan, step) - seconds))


def with_steps(schedule: TrainingSchedule, steps: int) -> TrainingSchedule:
    """Return a schedule of as many steps."""
    epochs = float(f"{steps / schedule.steps_per_epoch:.6g}")  # as a person would type it
    return schedule.change(train_epochs=epochs)


def time_text(pace: Pace, config, has_gpu: bool) -> str:
    """Say how long the rest of a run takes, and what would shorten one of hours."""
    text = f"about {format_seconds(pace.left)}"
    if pace.budget < math.inf:
        scales = " ".join(map(str, config.train_input_scales))
        flags = f"--train-epochs {config.train_epochs} --train-input-scales {scales}"
        flags += f" --train-warmup-epochs {config.train_warmup_epochs}"
        flags += f" --augment-close {config.augment_close}" if config.augment_mosaic else ""
        return f"{text}; without --max-minutes the same are: {flags}"
    if pace.left < HOUR or has_gpu:
        return text
    tiny = "" if config.tiny else "an epoch of --tiny takes a tenth, and "
    return f"{text}; {tiny}--max-minutes 60 an hour, with as many epochs as fit"
