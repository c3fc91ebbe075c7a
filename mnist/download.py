"""Download a file and verify it, without ever waiting long for a network that is not there."""

import hashlib
import queue
import threading
from http.client import HTTPException
from urllib.request import urlopen

from yolov3.cli.progress import Progress

MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
MNIST_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
STALL_S = 5.0  # seconds until the server answers, and without a byte
PART_BYTES = 1 << 16


def download(url: str, checksum: str = "", stall_s: float = STALL_S) -> bytes:
    """Return the file at `url`; a terminal shows how much of it has arrived.

    It is read in a thread of its own, because the time limit of urlopen does not cover the name
    look-up and starts again for every address of a host. Raises ConnectionError if that limit is
    passed, the file is unreachable or it does not have this checksum.
    """
    events: queue.Queue = queue.Queue()  # the length, parts, an empty one at the end; or an error

    def read():
        try:
            with urlopen(url, timeout=stall_s) as response:
                events.put(int(response.headers.get("Content-Length", 0)))
                while part := response.read1(PART_BYTES):
                    events.put(part)
                events.put(b"")
        except (OSError, HTTPException, ValueError) as error:
            events.put(error)

    def next_event():
        event = events.get(timeout=stall_s)
        if isinstance(event, Exception):
            raise ConnectionError(str(event) or repr(event))
        return event

    threading.Thread(target=read, daemon=True).start()
    content = bytearray()
    try:
        with Progress(next_event() or None) as progress:
            while part := next_event():
                content += part
                progress.advance(len(part), f"{len(content) / 1e6:.1f} MB")
        if checksum:
            verify(content, checksum)
    except queue.Empty:
        raise ConnectionError(f"nothing received for {stall_s:g} s") from None
    except ValueError as error:
        raise ConnectionError(str(error)) from None
    return bytes(content)


def verify(content: bytes, checksum: str) -> None:
    """Raise ValueError unless this is the SHA-256 or, twice as long, the SHA-512 of the content."""
    algorithm = f"sha{4 * len(checksum)}"
    if (received := hashlib.new(algorithm, content).hexdigest()) != checksum:
        size = f"{len(content):,} bytes"
        raise ValueError(f"expected {algorithm} {checksum}; received {size} with {received}")
