"""Train with several processes on this machine, each with a part of every batch.

    python tools/launch.py --processes 2 -- python train.py --tiny
    python tools/launch.py --processes 2 --restarts 3 -- python train.py --tiny

For trying out what many machines do, and for machines of several CPUs (one process uses all GPUs).
When a process is gone, all are started again, with --resume once the run has a checkpoint. Ctrl-C
and SIGTERM stop all with one checkpoint. The exit code is that of train.py.
"""

import argparse
import contextlib
import math
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from yolov3.checkpoints import checkpoint_folders
from yolov3.cli.flags import Parser, natural, positive_int
from yolov3.cli.run import run_script
from yolov3.configs import Config
from yolov3.runs.cluster import Cluster
from yolov3.runs.workers import GONE

GRACE = 30.0  # seconds for the others to end when one has failed


def parse_args(argv=None) -> argparse.Namespace:
    parser = Parser(__doc__)
    parser.add_argument("--processes", type=positive_int, required=True, metavar="N")
    parser.add_argument("--restarts", type=natural, default=0, metavar="K", help="default: 0")
    parser.add_argument("command", nargs="+", metavar="-- COMMAND", help="python train.py ...")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    command, folder = args.command, checkpoints_of(args.command)
    earlier = set(folder.glob("*/"))
    for restart in range(1, args.restarts + 2):
        code = exit_code(run_all(command, args.processes))
        if code != GONE or restart > args.restarts:
            return code
        command = resuming(command, set(folder.glob("*/")) - earlier)
        note = f"starting again ({restart} of at most {args.restarts}): {shlex.join(command)}"
        print(note, file=sys.stderr, flush=True)
    return code


def checkpoints_of(command: list[str]) -> Path:
    """Return the folder of the runs that a command of train.py makes."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(flag := "--train-checkpoints-folder")
    folder = vars(parser.parse_known_args(command)[0])[flag[2:].replace("-", "_")]
    return Path(folder or Config.train_checkpoints_folder)


def resuming(command: list[str], new_runs) -> list[str]:
    """Return the command that goes on with the run of another one: itself before a checkpoint."""
    runs = [run for run in new_runs if checkpoint_folders(run, "last")]
    if "--resume" in command or not runs:
        return command
    scripts = [i for i, word in enumerate(command) if word.endswith(".py")]
    end = scripts[0] + 1 if scripts else len(command)  # of a script's flags the run has all
    newest = max(runs, key=lambda run: run.stat().st_mtime_ns)
    return [*command[:end], "--resume", str(newest)]


def run_all(command: list[str], count: int) -> list[int]:
    """Run a command in so many processes to their ends; return their exit codes."""
    hosts = tuple(f"127.0.0.1:{port}" for port in free_ports(count))
    configs = [Cluster(hosts, index).tf_config() for index in range(count)]
    started, deadline = [], math.inf
    signal.signal(signal.SIGTERM, lambda *_: [process.terminate() for process in started])
    for tf_config in configs:
        started.append(subprocess.Popen(command, env={**os.environ, "TF_CONFIG": tf_config}))
    while any(process.poll() is None for process in started):
        with contextlib.suppress(KeyboardInterrupt):  # it reaches them as well
            time.sleep(0.1)
        if any(process.returncode for process in started):
            deadline = min(deadline, time.monotonic() + GRACE)
        if time.monotonic() > deadline:
            for process in started:
                process.kill()
    return [process.returncode for process in started]


def exit_code(codes: list[int]) -> int:
    """Return the exit code of all: of one that failed itself before those who only lost it."""
    own = [code for code in codes if code > 0 and code != GONE]
    return own[0] if own else GONE if any(codes) else 0


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nobody listens to."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


if __name__ == "__main__":
    run_script(main)
