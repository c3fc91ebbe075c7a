"""From a configuration to a finished run: check the data, say what will happen, train."""

import keras
import tensorflow as tf

from yolov3.annotations import read_class_names
from yolov3.checkpoints import Checkpoint
from yolov3.configs import Config
from yolov3.precision import choose_precision, hardware_name
from yolov3.records import existing_file, load_records
from yolov3.runs import new_run, resumed_run
from yolov3.schedule import input_size_of
from yolov3.training import Outcome, Training
from yolov3.training_progress import format_seconds


def start_training(config: Config, resume_from: Checkpoint | None = None) -> int:
    """Train as configured, anew or from a checkpoint; return the exit code of the script.

    Raises ValueError for bad annotations, names or a checkpoint that does not fit, before anything
    is written.
    """
    class_names = read_class_names(existing_file(config.train_classes))
    records = load_records(config.train_annot_path, config, len(class_names))
    test_records = []
    if config.test_annot_path:
        test_records = load_records(config.test_annot_path, config, len(class_names))
    if resume_from and resume_from.class_names != class_names:
        raise ValueError(
            f"{config.train_classes}: expected the class names of {resume_from.path}, "
            f"{resume_from.class_names}; received {class_names}"
        )
    keras.utils.set_random_seed(config.seed)
    training = Training(config, records, test_records, class_names)
    if resume_from:
        training.resume(resume_from)
        print(f"resuming {resume_from.path} at step {training.step} of {training.total_steps}")
    elif config.weights:
        training.start_from(config.weights, config.transfer)
    run = resumed_run(config, resume_from.path) if resume_from else new_run(config)
    print_plan(config, run, len(records), len(test_records), len(class_names))
    outcome = training.fit(run)
    print_outcome(outcome, training)
    return outcome.value


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
    precision = choose_precision(config.precision)
    print(
        f"network     {config.network}, {num_classes} classes, {precision}\n"
        f"device      {hardware_name()}, TensorFlow {tf.__version__}, Keras {keras.__version__}\n"
        f"data        {num_train:,} pictures to train on, {num_test:,} to validate on\n"
        f"training    {config.train_epochs} epochs at {shown} px, batches of "
        f"{config.train_batch_size}, learning rate {config.train_lr_init:g}, seed {config.seed}\n"
        f"checkpoints {run.checkpoints}\n"
        f"log         {run.log} (watch: tensorboard --logdir {config.train_logdir})",
        flush=True,
    )


def print_outcome(outcome: Outcome, training: Training) -> None:
    """Say how the run ended and what to do next."""
    if outcome is Outcome.INTERRUPTED:
        print(
            f"\nstopped at step {training.step} of {training.total_steps}, saved; go on with: "
            f"python train.py --resume {training.run.checkpoints}"
        )
    elif outcome is Outcome.FINISHED:
        print(f"finished in {format_seconds(training.seconds)}", end="")
        if training.validate:
            print(f"; best validation mAP {training.best:.4f}", end="")
        print(f"\nevaluate it: python evaluate_mAP.py --weights {training.run.checkpoints}")
