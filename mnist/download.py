"""Download a file and verify it, without ever waiting long for a network that is not there."""

import hashlib
import queue
import threading
from http.client import HTTPException
from urllib.request import urlopen

MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
MNIST_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
STALL_S = 5.0  # seconds until the server answers, and without a byte


def download(url: str, sha256: str | None = None, stall_s: float = STALL_S) -> bytes:
    """Return the file at `url`, or raise ConnectionError if it is unreachable or not that file.

    It is read in a thread of its own, because the time limit of urlopen does not cover the name
    look-up and starts again for every address of a host.
    """
    events: queue.Queue = queue.Queue()  # that the server answers, then the content; or an error

    def read():
        try:
            with urlopen(url, timeout=stall_s) as response:
                events.put(b"")
                events.put(response.read())
        except (OSError, HTTPException, ValueError) as error:
            events.put(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        content = events.get(timeout=stall_s) or events.get()
    except queue.Empty:
        raise ConnectionError(f"nothing received for {stall_s:g} s") from None
    if isinstance(content, Exception):
        raise ConnectionError(str(content) or repr(content))
    received = hashlib.sha256(content).hexdigest()
    if sha256 and received != sha256:
        what = f"{len(content)} bytes with {received}"
        raise ConnectionError(f"expected SHA-256 {sha256}; received {what}")
    return content
