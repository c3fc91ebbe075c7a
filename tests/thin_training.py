"""A training in a process of its own, with a network that is thin: for tests with many of them."""

import os
import signal
from pathlib import Path

SIGNALLED_STEP = 5


def train_thin(
    arguments: list[str], folder: Path, worker: int, signalled: int = 0, has_norms: bool = True
) -> None:
    """Train in a folder as `train.py` does; what it says goes to said{worker}.txt.

    Before step `SIGNALLED_STEP` it sends itself the signal `signalled`, if given. Without
    `has_norms` an image does not depend on those beside it: norms are in inference mode. At the end
    it leaves all its variables in variables{worker}.npz.
    """
    import numpy as np
    import tensorflow as tf
    from small_training import thin_network

    import train
    from yolov3 import yolov3 as networks
    from yolov3.cli.run import run_script
    from yolov3.kernels.substitute import FusedBatchNormalization
    from yolov3.runs import resources, start
    from yolov3.train_step import TrainStep
    from yolov3.weights import state_dict

    os.chdir(folder)
    for descriptor in (1, 2):
        os.dup2(os.open(f"said{worker}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    call, fit = TrainStep.__call__, start.fit

    def step_after_signal(train_step, *batch):
        if signalled and train_step.step + 1 == SIGNALLED_STEP:
            signal.raise_signal(signalled)
        return call(train_step, *batch)

    def fit_and_tell(training, run):
        TrainStep.__call__ = step_after_signal  # not before: steps are timed first
        outcome = fit(training, run)
        np.savez(f"variables{worker}.npz", **state_dict(training.train_step.variables()))
        return outcome

    def infer(norm, inputs, training=None, mask=None):
        return norm._fused(inputs, norm.moving_mean, norm.moving_variance, is_training=False)[0]

    networks._tiny, start.fit = thin_network, fit_and_tell
    resources.TIMED_SECONDS = 0  # the shortest look at what a step takes
    if not has_norms:
        FusedBatchNormalization.call = infer
    run_script(lambda: train.main(arguments))
