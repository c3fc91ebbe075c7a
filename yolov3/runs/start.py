"""From flags to a finished run: find what to resume, check, build, say what will happen, train."""

import argparse
import dataclasses
import functools
import shlex
from dataclasses import dataclass

import keras
import tensorflow as tf

from yolov3.annotations import Records
from yolov3.augment import Augmentation
from yolov3.checkpoints import FOLDER_NAME, Checkpoint, checkpoint_folders
from yolov3.cli.flags import config_from_flags
from yolov3.cli.run import StopRequest
from yolov3.configs import Config
from yolov3.data.annotation_check import check_class_names, fingerprint, load_data
from yolov3.dataset import training_batches
from yolov3.kernels.hardware import choose_precision, hardware_name
from yolov3.metrics import limit_note
from yolov3.runs.checkpoint_manager import CHANGED_DATA, CheckpointManager
from yolov3.runs.distribution import (
    SharedValidator,
    digest_of,
    distribute_batches,
    distribution_strategy,
    facts,
    gather,
    replicas_for,
)
from yolov3.runs.resources import check_disk, check_memory, plan, time_text, timed_sizes
from yolov3.runs.run_folders import (
    Run,
    find_resumable,
    locked,
    named_run,
    new_run,
    print_changes,
    resumed_run,
    write_origin,
)
from yolov3.runs.run_logger import RunLogger
from yolov3.runs.tensorboard import TensorBoardLog
from yolov3.runs.workers import ALONE, Alone, SilentLogger, join_workers
from yolov3.schedule import TrainingSchedule, is_out_of_patience, set_length
from yolov3.text import counted, format_seconds, missing_letters
from yolov3.train_step import TrainStep
from yolov3.training import Outcome, train
from yolov3.transfer import transfer_weights
from yolov3.validation import Validator


@dataclass
class Training:
    """The parts of a run; nothing is written before `fit`."""

    records: Records
    test_records: Records  # or an empty list, for no validation
    class_names: list[str]
    schedule: TrainingSchedule
    train_step: TrainStep
    validate: Validator | None
    manager: CheckpointManager
    is_validated: bool = True  # if the last step ends an epoch
    is_logged: bool = False  # the settings are in the log already
    workers: Alone = ALONE

    @property
    def config(self) -> Config:
        """The settings of the run."""
        return self.schedule.config

    @property
    def step(self) -> int:
        """Steps done since the start of the run, resumed ones included."""
        return self.train_step.step

    def batches(self, input_size: int, steps: tuple[int, int]):
        """Yield the batches of a range of steps of one epoch, as `train` takes them."""
        config, strategy = self.config, self.train_step.strategy
        augmentation = Augmentation.of(config)
        if not self.schedule.mixes_images(steps[0] // self.schedule.steps_per_epoch):
            augmentation = augmentation._replace(mosaic=0.0, mixup=0.0)
        sizes = config.train_batch_size, input_size, steps, config.train_input_size
        make = functools.partial(training_batches, self.records, augmentation, config.seed, *sizes)
        for *batch, indices in distribute_batches(strategy, make):
            yield (*batch, self.workers.exchange(gather(strategy, indices)))

    def follow(self, schedule: TrainingSchedule) -> None:
        """Train by another schedule from now on."""
        self.schedule, self.manager.config = schedule, schedule.config
        set_length(self.train_step.learning_rate, schedule.warmup_steps, schedule.total_steps)


def start_training(args: argparse.Namespace) -> int:
    """Start or resume a run as the flags of train.py say; return the exit code of the script.

    Raises ValueError for bad annotations, names or a checkpoint that does not fit, for too little
    memory or disk, and for a run that another process trains: all before anything is written.
    Raises OSError that says how to resume if the disk fails.
    """
    with join_workers(args.worker_hosts, args.worker_index) as workers:
        return start_or_resume(args, workers)


def start_or_resume(args: argparse.Namespace, workers: Alone) -> int:
    """Do as `start_training` says, with the other workers; of all, the chief writes."""
    if args.resume is None:
        config = config_from_flags(args)
        if args.name and not workers.index:
            named_run(config, args.name)  # refused before anything is measured
        training = prepare(config, args.started, workers)
        if workers.index:
            return fit(training, None).value
        run = new_run(training.config, args.name)
        with locked(run.checkpoints):
            return report(training, run)
    checkpoint, config = find_resumable(args)
    has_budget = config.max_minutes not in (0, checkpoint.config.max_minutes)
    is_exhausted = is_out_of_patience(config, checkpoint.epoch, checkpoint.best_epoch)
    done = min(checkpoint.epoch, checkpoint.config.train_epochs)  # the last one may be a part
    if is_exhausted or (done >= config.train_epochs and not has_budget):
        flag = "--patience" if is_exhausted else "--train-epochs"
        epochs = counted(done, "epoch")
        print(f"{checkpoint.path.parent}: was finished after {epochs}; more with {flag}")
        return Outcome.FINISHED.value
    print_changes(checkpoint, config, args)
    if workers.index:
        return fit(prepare(config, args.started, workers, checkpoint), None).value
    with locked(checkpoint.path.resolve().parent):
        training = prepare(config, args.started, workers, checkpoint)
        return report(training, resumed_run(config, checkpoint))


def prepare(
    config: Config, started: float, workers: Alone, checkpoint: Checkpoint | None = None
) -> Training:
    """Check data and machine, build what is trained, from a checkpoint if there is one, time it."""
    class_names = check_class_names(config, checkpoint)
    if config.freeze_epochs and not config.weights:
        raise ValueError("--freeze-epochs needs --weights: a random backbone must learn")
    if config.patience and not config.test_annot_path:
        raise ValueError("--patience needs --test-annot-path: it goes by the validation mAP")
    if not workers.index:
        check_disk(config, len(class_names), checkpoint and checkpoint.path.parent)
    if not tf.config.list_physical_devices("GPU"):
        batch_size = -(-config.train_batch_size // workers.count)
        part = dataclasses.replace(config, train_batch_size=batch_size)
        check_memory(part, len(class_names), choose_precision(config.precision))
    records, test_records = load_data(config, class_names)
    training = build(config, records, test_records, class_names, workers)
    if checkpoint:
        resume(training, checkpoint)
    elif config.weights:
        model = training.train_step.model
        settings = {"scope": config.transfer, "anchors": config.anchors}
        print(transfer_weights(model, config.weights, **settings), flush=True)
        training.train_step.reset_ema()
    if workers.cluster:
        workers.check({"weights": digest_of(training.train_step.variables())})
    if not workers.index:  # a minute and more for Darknet-53 on an ordinary CPU
        sizes = ", ".join(map(str, timed_sizes(config)))
        print(f"timing      some steps at {sizes} px, to tell how long it takes", flush=True)
    plan(training, started, checkpoint)
    return training


def build(config: Config, records, test_records, class_names, workers=ALONE) -> Training:
    """Build the parts of a new run. Raises ValueError where workers differ."""
    data = {"trained_on": fingerprint(records), "validated_on": fingerprint(test_records)}
    precision = choose_precision(config.precision)
    if workers.cluster:
        workers.check(facts(config, data, class_names, precision, workers.cluster))
    strategy = distribution_strategy(config.train_batch_size, workers.cluster)  # before TensorFlow
    data["replicas"] = strategy.num_replicas_in_sync
    keras.utils.set_random_seed(config.seed)
    schedule = TrainingSchedule(config, len(records))
    with strategy.scope():
        train_step = TrainStep(config, len(class_names), schedule.steps_per_epoch, precision)
    arguments = config, test_records, class_names, precision
    alone, shared = Validator, functools.partial(SharedValidator, workers)
    validate = (shared if workers.cluster else alone)(*arguments) if test_records else None
    manager = CheckpointManager(config, class_names, train_step, data)
    manager.pace.clock = workers.clock
    parts = schedule, train_step, validate, manager
    return Training(records, test_records, class_names, *parts, workers=workers)


def resume(training: Training, checkpoint: Checkpoint) -> None:
    """Continue from a "last" checkpoint; raise ValueError if it does not fit."""
    manager = training.manager
    try:
        manager.resume(checkpoint)
    except ValueError as error:
        raise ValueError(f"{checkpoint.path}: {error}") from None
    epochs = training.schedule.epochs_after(training.step)
    ends_epoch = epochs and training.step == training.schedule.last_step(epochs - 1)
    training.is_validated = not (ends_epoch and checkpoint.epoch == epochs - 1)
    manager.epochs_done = epochs - (not training.is_validated)
    training.is_logged = training.config == checkpoint.config
    print(f"resuming {checkpoint.path} at step {training.step} of {training.schedule.total_steps}")
    names = [folder.name for folder in checkpoint_folders(checkpoint.path.resolve().parent)]
    later = [name for name in names if int(FOLDER_NAME.fullmatch(name)[2]) > checkpoint.step]
    if later:
        print(f"note: {', '.join(later)}: later; deleted when this run saves one of its kind")
    for data in manager.changed_data(checkpoint):
        print(f"changed: {CHANGED_DATA[data]}")


def fit(training: Training, run: Run | None) -> Outcome:
    """Train until the end, writing to the folders of a run if given. Raises OSError of the disk."""
    train_step, manager, logger = training.train_step, training.manager, SilentLogger()
    if run:
        write_origin(run.log, training.config, len(training.records), manager.data)
        log = TensorBoardLog(run.log, training.step, training.is_validated)
        data = training.records, training.class_names
        logger = RunLogger(log, training.schedule, *data, train_step.strategy)
    manager.start(run and run.checkpoints)
    with logger, StopRequest() as stop:
        stop = training.workers.agree_on(stop)
        config = None if training.is_logged else training.config
        logger.log_start(training.step, config, train_step.ema)
        learner, others = (train_step, training.batches, training.validate), (manager, logger, stop)
        while (outcome := train(*learner, training.schedule, *others)) is Outcome.REPLANNED:
            training.follow(manager.pace.schedule)
            logger.log_schedule(training.step, training.schedule)
            if manager.epochs_done == training.schedule.epochs:  # a resume shall find it finished
                size = training.schedule.detection_size(manager.epochs_done - 1)
                manager.save("last", size, logger)
        logger.log_end(training.step, outcome, int(train_step.skipped_steps.numpy()))
    return outcome


def report(training: Training, run: Run) -> int:
    """Print what will happen, train, and print how it ended; return the exit code."""
    print_plan(training, run)
    try:
        outcome = fit(training, run)
    except BrokenPipeError:  # nobody reads the output any more
        raise
    except OSError as error:
        hint = "the run had no checkpoint to resume yet"
        if checkpoint_folders(run.checkpoints, "last"):
            command = f"python train.py --resume {shlex.quote(str(run.checkpoints))}"
            hint = f"the earlier checkpoints are complete; mend it, and resume with: {command}"
        raise OSError(f"{error}; {hint}") from None
    print_outcome(outcome, training, run)
    return outcome.value


def print_plan(training: Training, run: Run) -> None:
    """Say what will be trained, on what, with what, and where it is written."""
    config, schedule = training.config, training.schedule
    sizes = sorted({schedule.input_size(epoch) for epoch in range(schedule.epochs)})
    shown = ", ".join(map(str, sizes))
    gpus = len(tf.config.list_physical_devices("GPU"))
    used = replicas_for(config.train_batch_size, gpus)
    idle = f" ({used} used: the most that divide the batch size)" if used < gpus else ""
    validated = "none to validate on"
    if training.test_records:
        validated = f"{len(training.test_records):,} to validate on ({config.test_annot_path})"
    print(
        f"network     {config.network}, {counted(len(training.class_names), 'class')}, "
        f"{choose_precision(config.precision)}\n"
        f"device      {hardware_name()}{idle}, TensorFlow {tf.__version__}, "
        f"Keras {keras.__version__}\n"
        f"data        {counted(len(training.records), 'image')} to train on "
        f"({config.train_annot_path}), {validated}\n"
        f"training    {counted(config.train_epochs, 'epoch')} at {shown} px, batches of "
        f"{config.train_batch_size}, learning rate {config.train_lr_init:g}, seed {config.seed}\n"
        f"time        {time_text(training.manager.pace, config, gpus > 0)}\n"
        f"checkpoints {run.checkpoints}\n"
        f"log         {run.log} (watch: tensorboard --logdir {run.log.parent})"
    )
    if note := limit_note(training.test_records):
        print(f"validation  {note}")
    if lack := missing_letters(training.class_names):
        print(f"names       {lack}")
    print(end="", flush=True)


def print_outcome(outcome: Outcome, training: Training, run: Run) -> None:
    """Say how the run ended, the time it took from its very start, and what to do next."""
    folder, best_mAP = shlex.quote(str(run.checkpoints)), training.manager.best_mAP
    if outcome is Outcome.INTERRUPTED:
        print(
            f"\nstopped at step {training.step} of {training.schedule.total_steps}, saved; "
            f"resume it with: python train.py --resume {folder}"
        )
    elif outcome is Outcome.FINISHED:
        done, patience = training.manager.epochs_done, training.config.patience
        if done < training.schedule.epochs:
            epochs = f"{done} of {counted(training.schedule.epochs, 'epoch')}"
            print(f"ended after {epochs}: {patience} without a better validation mAP (--patience)")
        print(f"finished in {format_seconds(training.manager.pace.used)}", end="")
        if best_mAP >= 0:  # -1: nothing was validated, or no image had a box
            print(f"; best validation mAP {best_mAP:.4f}", end="")
        annotations = "" if training.validate else " --annotations FILE"
        print(f"\nevaluate it: python evaluate_mAP.py --weights {folder}{annotations}")
