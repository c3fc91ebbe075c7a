"""From a configuration to a finished run: check the data, say what will happen, train."""

import shlex
from pathlib import Path

import keras
import tensorflow as tf

from yolov3.annotations import read_class_names
from yolov3.checkpoints import FOLDER_NAME, Checkpoint, checkpoint_folders
from yolov3.configs import REPO, Config
from yolov3.data.annotation_check import existing_file, load_records
from yolov3.kernels.precision import choose_precision, hardware_name
from yolov3.runs.distribution import devices_for
from yolov3.runs.resources import check_disk, check_memory
from yolov3.runs.run_folders import new_run, resumed_run
from yolov3.runs.run_lock import locked
from yolov3.runs.training_progress import format_seconds
from yolov3.schedule import input_size_of
from yolov3.training import Outcome, Training
from yolov3.weights.darknet_file import MAX_CLASSES

CHANGED_DATA = {  # by the names of `Checkpoint`
    "trained_on": "images to train on, or their boxes (the run will differ)",
    "validated_on": "images to validate on, or their boxes "
    "(no effect on the weights; the best are sought anew)",
}


def start_training(config: Config, resume_from: Checkpoint | None = None) -> int:
    """Train as configured, anew or from a checkpoint; return the exit code of the script.

    Raises ValueError for bad annotations, names or a checkpoint that does not fit, for too little
    memory or disk, and for a run that another process trains: all before anything is written.
    Raises OSError that says how to go on if the disk fails.
    """
    if resume_from:
        with locked(Path(resume_from.path).resolve().parent):
            training = _prepare(config, resume_from)
            return _train(training, resumed_run(config, resume_from))
    training = _prepare(config, None)
    run = new_run(config)
    with locked(run.checkpoints):
        return _train(training, run)


def _prepare(config, resume_from) -> Training:
    """Check the data and the machine, and build what is trained."""
    class_names = read_class_names(existing_file(config.train_classes))
    if not resume_from:
        _require_own_test_data(config, class_names)
    if len(class_names) > MAX_CLASSES:
        raise ValueError(
            f"{config.train_classes}: expected at most {MAX_CLASSES:,} class names; "
            f"received {len(class_names):,}"
        )
    if resume_from and resume_from.class_names != class_names:
        raise ValueError(
            f"{config.train_classes}: expected the class names of {resume_from.path}, "
            f"{resume_from.class_names}; received {class_names}"
        )
    check_disk(config, len(class_names), resume_from and resume_from.path.parent)
    if not tf.config.list_physical_devices("GPU"):
        check_memory(config, len(class_names), choose_precision(config.precision))
    records = load_records(config.train_annot_path, config, len(class_names))
    test_records = []
    if config.test_annot_path:
        test_records = load_records(config.test_annot_path, config, len(class_names))
    keras.utils.set_random_seed(config.seed)
    training = Training(config, records, test_records, class_names)
    if resume_from:
        _resume(training, resume_from)
    elif config.weights:
        training.start_from(config.weights, config.transfer)
    elif config.freeze_epochs:
        print("note: --freeze-epochs without --weights holds a backbone of random weights still")
    return training


def _require_own_test_data(config, class_names):
    """Raise ValueError if own images of other classes would be judged by the tutorial's."""
    has_own = config.train_annot_path != Config.train_annot_path
    if not has_own or config.test_annot_path != Config.test_annot_path:
        return
    tutorials = Path(REPO, Config.train_classes)
    if not tutorials.is_file() or class_names != read_class_names(tutorials):
        raise ValueError(
            f"{config.train_classes}: expected --test-annot-path with images of these classes, "
            f"or '' to train without validation; received the tutorial's {config.test_annot_path}"
        )


def _resume(training, checkpoint):
    try:
        training.resume(checkpoint)
    except ValueError as error:
        raise ValueError(f"{checkpoint.path}: {error}") from None
    print(f"resuming {checkpoint.path} at step {training.step} of {training.plan.total_steps}")
    later = [
        folder.name
        for folder in checkpoint_folders(checkpoint.path.resolve().parent)
        if int(FOLDER_NAME.fullmatch(folder.name)[2]) > checkpoint.step
    ]
    if later:
        names = ", ".join(later)
        print(f"note: {names} of later steps: each goes when this run saves one of its kind")
    for data in training.keeper.changed_data(checkpoint):
        print(f"changed: {CHANGED_DATA[data]}")


def _train(training, run) -> int:
    records, validate = training.records, training.validate
    num_test = len(validate.records) if validate else 0
    print_plan(training.config, run, len(records), num_test, len(training.class_names))
    try:
        outcome = training.fit(run)
    except BrokenPipeError:  # nobody reads the output any more
        raise
    except OSError as error:
        raise OSError(f"{error}; {_how_to_go_on(run)}") from None
    print_outcome(outcome, training)
    return outcome.value


def _how_to_go_on(run) -> str:
    if checkpoint_folders(run.checkpoints, "last"):
        command = f"python train.py --resume {_quoted(run.checkpoints)}"
        return f"the checkpoints before are whole; when that is mended, go on with: {command}"
    return "the run had no checkpoint to go on from yet"


def _quoted(path) -> str:
    """Return a path as a shell takes it."""
    return shlex.quote(str(path))


def print_plan(config: Config, run, num_train: int, num_test: int, num_classes: int) -> None:
    """Say what will be trained, on what, with what, and where it is written."""
    epochs = range(config.train_epochs)
    sizes = [
        input_size_of(epoch, len(epochs), config.train_input_size, config.train_input_scales)
        for epoch in epochs
    ]
    shown = (
        " ".join(str(size) for size in sizes) if len(sizes) <= 12 else f"{sizes[0]} to {sizes[-1]}"
    )
    precision, gpus = choose_precision(config.precision), tf.config.list_physical_devices("GPU")
    used = devices_for(config.train_batch_size, len(gpus))
    judged = "none to validate on"
    if num_test:
        judged = f"{num_test:,} to validate on ({config.test_annot_path})"
    idle = f" ({used} used: more cannot share a batch equally)" if used < len(gpus) else ""
    print(
        f"network     {config.network}, {num_classes} classes, {precision}\n"
        f"device      {hardware_name()}{idle}, TensorFlow {tf.__version__}, "
        f"Keras {keras.__version__}\n"
        f"data        {num_train:,} images to train on ({config.train_annot_path}), {judged}\n"
        f"training    {config.train_epochs} epochs at {shown} px, batches of "
        f"{config.train_batch_size}, learning rate {config.train_lr_init:g}, seed {config.seed}\n"
        f"checkpoints {run.checkpoints}\n"
        f"log         {run.log} (watch: tensorboard --logdir {run.log.parent})",
        flush=True,
    )


def print_outcome(outcome: Outcome, training: Training) -> None:
    """Say how the run ended and what to do next."""
    if outcome is Outcome.INTERRUPTED:
        print(
            f"\nstopped at step {training.step} of {training.plan.total_steps}, saved; go on with: "
            f"python train.py --resume {_quoted(training.run.checkpoints)}"
        )
    elif outcome is Outcome.FINISHED:
        print(f"finished in {format_seconds(training.seconds)}", end="")
        if training.keeper.best >= 0:  # -1: nothing was validated, or no image had a box
            print(f"; best validation mAP {training.keeper.best:.4f}", end="")
        annotations = "" if training.validate else " --annotations FILE"
        folder = _quoted(training.run.checkpoints)
        print(f"\nevaluate it: python evaluate_mAP.py --weights {folder}{annotations}")
