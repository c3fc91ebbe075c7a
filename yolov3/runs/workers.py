"""What the workers of a cluster tell each other beside the gradients, and what if one is gone.

The chief, worker 0, is connected with each of the others twice: to talk, and to notice at once if
either ends. TensorFlow is not involved, so this works before it starts and while it waits.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from multiprocessing.connection import Connection, wait

import numpy as np

from yolov3.cli.run import LEFT_BEHIND
from yolov3.runs.cluster import Cluster, find_cluster

WAYS = (0, 1)  # to talk, to watch
GONE = 75  # exit code, "try again": EX_TEMPFAIL of sysexits.h
LONGEST_HELLO, LONGEST_REASON = 100, 1000  # bytes
TRY_AGAIN, FIRST_NOTE, PATIENCE = 0.3, 5.0, 10.0  # seconds
VERDICT = 25.0  # seconds: within these the death of a machine is noticed
KEEP_ALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
CLEAR = b"\r\x1b[2K\x1b[?25h"  # a progress line, which nobody else ends, and shows the cursor
# TensorFlow's errors where another worker is gone, by name: this module does without TensorFlow.
LOST = {"UnavailableError", "AbortedError", "InternalError", "CancelledError"}
LOST |= {"DeadlineExceededError"}


class Alone(contextlib.AbstractContextManager):
    """A process that trains by itself: what it says, all say."""

    index, count, cluster = 0, 1, None
    clock, now = staticmethod(time.monotonic), staticmethod(time.perf_counter)

    def __exit__(self, *_):
        pass

    def gather(self, value) -> list:
        """Return what each worker gave, a value that JSON can hold, in their order."""
        return [value]

    def from_chief(self, value):
        """Return what the chief gave."""
        return value

    def agree_on(self, stop):
        """Return a `stop` that is requested of all if it is of one, from the next step on."""
        return stop

    def exchange(self, indices: np.ndarray) -> np.ndarray:
        """Return the indices of a step's images on all workers; agree on what else a step needs."""
        return indices

    def check(self, facts: dict) -> None:
        """Raise ValueError unless facts are the same on all workers."""


ALONE = Alone()


class Workers(Alone):
    """The workers of a cluster. Use it in a `with` statement, which ends when all have ended.

    Where a worker is gone, the process ends with the exit code `GONE` and one line. `clock` is the
    chief's at the last exchange, so that all judge by the same time.
    """

    def __init__(self, cluster: Cluster):
        """Wait for all workers, and say for whom."""
        self.cluster, self.index, self.count = cluster, cluster.index, len(cluster.hosts)
        self.requested, self._stop, self._time, self._is_over = False, None, 0.0, False
        self._talk, self._watch = meet_others(cluster) if self.index == 0 else meet_chief(cluster)
        # A thread of this name lets the process end whatever TensorFlow waits for.
        threading.Thread(target=self._look_out, daemon=True, name=LEFT_BEHIND).start()
        self.from_chief("all are here")

    def __exit__(self, kind, error, _):
        reason = str(error).partition("\n")[0][:200]
        if kind is None:
            self._part()
        elif kind.__name__ in LOST:
            self._lose(reason)
        else:
            self._is_over = True  # what happens here counts, not what it does to the others
            self._tell(f"{self.cluster.name(self.index)} ended ({reason or kind.__name__})")

    def clock(self) -> float:
        return self._time

    def now(self) -> float:
        return self.from_chief(time.perf_counter())

    def agree_on(self, stop):
        self._stop = stop
        return self

    def exchange(self, indices):
        is_asked = self._stop is not None and self._stop.requested
        told = self.gather((indices.tolist(), is_asked, time.monotonic()))
        self.requested |= any(asked for _, asked, _ in told)
        self._time = told[0][2]
        return np.concatenate([np.array(indices, np.int32) for indices, *_ in told])

    def check(self, facts):
        of_all = self.gather(facts)
        for index, others in enumerate(of_all):
            for name, ours in of_all[0].items():
                if ours != (theirs := others.get(name)):
                    one, other = self.cluster.name(0), self.cluster.name(index)
                    self._part()
                    raise ValueError(
                        f"all workers need the same {name}: {one} has {ours!s:.200}, "
                        f"{other} has {theirs!s:.200}"
                    )

    def gather(self, value):
        parts = self.to_chief(json.dumps(value).encode())
        return self.from_chief([json.loads(part) for part in parts])

    def from_chief(self, value):
        if self.index:
            return json.loads(self._receive(0))
        data = json.dumps(value).encode()
        for index in self._talk:
            self._send(index, data)
        return value

    def to_chief(self, data: bytes) -> list[bytes]:
        """Return what each worker gave, in their order: on the chief, elsewhere nothing."""
        if self.index:
            self._send(0, data)
            return []
        return [data, *map(self._receive, range(1, self.count))]

    def _send(self, index, data):
        try:
            self._talk[index].send_bytes(data)
        except OSError as error:
            self._lose(error)

    def _receive(self, index):
        try:
            return self._talk[index].recv_bytes()
        except (EOFError, OSError) as error:
            self._lose(error)

    def _part(self):
        """Wait until all are done, so that nobody takes the end of another for a failure."""
        self._is_over = bool(self.index)
        self.to_chief(b"")
        self._is_over = True
        self.from_chief(None)

    def _look_out(self):
        """End the process when another one has ended, as its connection says."""
        indices = {peer: index for index, peer in self._watch.items()}
        peer = wait(indices)[0]
        try:
            reason = peer.recv_bytes(LONGEST_REASON).decode()
        except (EOFError, OSError):  # killed, or its machine answers no more
            reason = f"{self.cluster.name(indices[peer])} is gone"
        if not self._is_over:
            self._end(reason)

    def _lose(self, reason):
        time.sleep(VERDICT)  # `_look_out` ends the process sooner, if it sees who is gone
        self._end(f"the workers lost each other ({reason})")

    def _end(self, reason):
        if self.index == 0:
            self._tell(reason)
        print(f"failed: {reason}; start all workers again, with --resume", file=sys.stderr)
        sys.stderr.flush()
        if os.isatty(2):
            os.write(2, CLEAR)
        os._exit(GONE)

    def _tell(self, reason):
        """Tell those who watch this process why it ends."""
        for peer in self._watch.values():
            with contextlib.suppress(OSError):  # it is the one that is gone
                peer.send_bytes(reason.encode()[:LONGEST_REASON])


def join_workers(hosts: str | None, index: int | None) -> Alone:
    """Return the workers that the flags of train.py or TF_CONFIG name, all connected, or `ALONE`.

    What the chief prints the others keep to themselves. Raises ValueError for bad flags.
    """
    cluster = find_cluster(hosts, index, os.environ)
    if cluster and cluster.index:
        sys.stdout = open(os.devnull, "w")
    return Workers(cluster) if cluster else ALONE


def meet_others(cluster: Cluster) -> tuple[dict, dict]:
    """Wait, as the chief, until all others are connected; return the connections by index."""
    found, note = {}, waiting_for(cluster)
    others = range(1, len(cluster.hosts))
    with socket.create_server(("", cluster.address(0)[1]), backlog=2 * len(others)) as door:
        door.settimeout(TRY_AGAIN)
        while missing := [place for place in others for way in WAYS if (place, way) not in found]:
            note(missing[0])
            with contextlib.suppress(OSError, EOFError, ValueError, TypeError):  # none; a stranger
                peer = connection(door.accept()[0])
                if peer.poll(PATIENCE):
                    place, way = json.loads(peer.recv_bytes(LONGEST_HELLO))
                    found[place, way] = peer
    return tuple({place: found[place, way] for place in others} for way in WAYS)


def meet_chief(cluster: Cluster) -> tuple[dict, dict]:
    """Connect with the chief as soon as it is there; return the connections by its index."""
    peers, note = [], waiting_for(cluster)
    while len(peers) < len(WAYS):
        try:
            peer = connection(socket.create_connection(cluster.address(0), PATIENCE))
            peer.send_bytes(json.dumps((cluster.index, len(peers))).encode())
            peers.append(peer)
        except OSError:
            note(0)
            time.sleep(TRY_AGAIN)
    return tuple({0: peer} for peer in peers)


def waiting_for(cluster: Cluster):
    """Return a function that says now and then that one waits for a worker."""
    started, pauses = time.monotonic(), [FIRST_NOTE]

    def note(index: int) -> None:
        if (seconds := time.monotonic() - started) >= pauses[-1]:
            text = f"waiting for worker {index} at {cluster.hosts[index]} ({seconds:.0f} s)"
            print(text, file=sys.stderr, flush=True)
            pauses.append(2 * seconds)

    return note


def connection(peer: socket.socket) -> Connection:
    """Return a connection that sends at once, waits for ever, and notices a lost machine."""
    peer.settimeout(None)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if hasattr(socket, name):  # on Linux all
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return Connection(peer.detach())


class SilentLogger(contextlib.AbstractContextManager):
    """Stand in for a `RunLogger` on workers that write nothing."""

    def __exit__(self, *_):
        pass

    def __getattr__(self, name):
        return lambda *_: None
