"""Check many dangerous files in processes that may crash, hang or run out of memory."""

import os
import resource
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path

from tests.torture.processes import start_process

SECONDS_ALLOWED = 60  # for one file
MEMORY_ALLOWED = 2**30  # bytes on top of what the process has when it begins


def examine(make_check, indexes: list[int], folder: Path, seed: int) -> Iterator[tuple[int, str]]:
    """Call `make_check(folder, seed)(index)` for all indexes; yield (index, what went wrong or "").

    `make_check` is a function of a module. The first process stays until something ends it; then
    another goes on behind the file that did.
    """
    waiting = list(indexes)
    while waiting:
        mine, theirs = Pipe()
        process = start_process(_work, theirs, make_check, waiting, folder, seed)
        theirs.close()
        mine.recv()  # ready
        while waiting:
            fault = _receive(mine, process)
            index = waiting.pop(0)
            yield index, fault
            if process.exitcode is not None:
                break
        process.join()


def _receive(connection, process) -> str:
    try:
        if connection.poll(SECONDS_ALLOWED):
            return connection.recv()
    except EOFError:
        process.join()
        return f"the process died with {process.exitcode}"
    process.kill()
    process.join()
    return f"no answer within {SECONDS_ALLOWED} s"


def _work(connection, make_check, indexes, folder, seed):
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    os.dup2(os.open("stderr.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)  # libraries complain
    check = make_check(folder, seed)
    pages = int(Path("/proc/self/statm").read_text().split()[0])  # of address space in use
    limit = pages * resource.getpagesize() + MEMORY_ALLOWED
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    connection.send("ready")
    for index in indexes:
        try:
            connection.send(check(index) or "")
        except BaseException as error:
            connection.send(f"{type(error).__name__}: {error}"[:500])
