"""Processes that begin with everything imported, forked from a server that did nothing else."""

import contextlib
import multiprocessing
import threading
from multiprocessing import forkserver
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
_starting = threading.Lock()  # of the server: the working folder is that of all threads


def start_process(target, *args) -> multiprocessing.Process:
    """Start `target(*args)`, a function of a module, in a process forked from a clean server.

    Only that is safe: a fork of this process might inherit TensorFlow's threads half alive.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.torture.preload"])
    with _starting, contextlib.chdir(REPO):  # where the server finds the modules
        forkserver.ensure_running()
    process = context.Process(target=target, args=args, daemon=True)
    process.start()
    return process
