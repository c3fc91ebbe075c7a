"""A training process that saves often and may carry a trap.

The trap goes off at a certain file-system call on checkpoints or log, where a crash hurts.
"""

import os
import resource
import signal
import sys
from pathlib import Path
from typing import NamedTuple

# Python announces these before they happen: see "Audit events table" in its documentation.
WATCHED = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.fsync"}
RELATIVE_TO_A_FOLDER = {"os.remove", "os.rmdir"}  # their second argument is an open folder or -1


class Trap(NamedTuple):
    """At file-system call number `call`, from 1, in the folder of the run: a kill or a limit.

    `limit` None kills the process before the call happens. A number of bytes is the size beyond
    which no file may grow from then on: the process is killed in the middle of the write that
    tries to if `kills`, else the write fails as on a full disk.
    """

    call: int
    limit: int | None = None
    kills: bool = True


def train_in_child(
    arguments: list[str], folder: Path, threads: int, most_seconds_lost: float, trap: Trap | None
) -> None:
    """Run `train.py` with arguments from `folder`; its output goes to stdout.txt and stderr.txt.

    A power cut may cost it `most_seconds_lost`: with 0 it saves after every step.
    """
    import tensorflow as tf

    import train
    from yolov3.cli.run import run_script
    from yolov3.runs import checkpoint_manager

    os.chdir(folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for name, descriptor in (("stdout.txt", 1), ("stderr.txt", 2)):
        os.dup2(os.open(name, flags, 0o644), descriptor)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    assert checkpoint_manager.MAX_SECONDS_LOST > 0
    checkpoint_manager.MAX_SECONDS_LOST = most_seconds_lost
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    if trap:
        set_trap(trap, folder.resolve())
    run_script(lambda: train.main(arguments))


def set_trap(trap: Trap, watched_folder: Path) -> None:
    """Count the calls of this process on what lies in a folder, and go off at that of the trap."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL if trap.kills else signal.SIG_IGN)
    calls = 0

    def count(event, args):
        nonlocal calls
        if event in WATCHED and _is_inside(watched_folder, event, args):
            calls += 1
            if calls == trap.call:
                _spring(trap)

    sync = os.fsync

    def announced_sync(descriptor):
        count("os.fsync", (os.readlink(f"/proc/self/fd/{descriptor}"),))
        sync(descriptor)

    os.fsync = announced_sync  # which Python does not announce by itself
    sys.addaudithook(count)


def _spring(trap):
    if trap.limit is None:
        os.kill(os.getpid(), signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (trap.limit, resource.RLIM_INFINITY))


def _is_inside(folder, event, args):
    if isinstance(args[0], int):
        return False
    if event in RELATIVE_TO_A_FOLDER and args[1] >= 0:  # how shutil.rmtree deletes
        return True
    return Path(os.path.abspath(os.fsdecode(args[0]))).is_relative_to(folder)
