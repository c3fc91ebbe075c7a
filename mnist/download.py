"""Download MNIST and verify it, without ever waiting long for a network that is not there."""

import hashlib
import queue
import threading
from http.client import HTTPException
from urllib.request import urlopen

MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
MNIST_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
STALL_S = 5.0  # seconds without one more chunk
CHUNK_BYTES = 2**16


def download(url: str, sha256: str, stall_s: float = STALL_S) -> bytes:
    """Return the file at `url`, or raise ConnectionError if it is unreachable or not that file.

    It is read in a thread of its own, because the time limit of urlopen does not cover the name
    look-up and starts again for every address of a host.
    """
    chunks: queue.Queue = queue.Queue()
    threading.Thread(target=_read, args=(url, stall_s, chunks), daemon=True).start()
    content = bytearray()
    while True:
        try:
            received = chunks.get(timeout=stall_s)
        except queue.Empty:
            raise ConnectionError(f"nothing received for {stall_s:g} s") from None
        if isinstance(received, Exception):
            raise ConnectionError(str(received) or repr(received))
        if not received:
            break
        content += received
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        what = f"{len(content)} bytes with {digest}"
        raise ConnectionError(f"expected SHA-256 {sha256}; received {what}")
    return bytes(content)


def _read(url: str, timeout_s: float, chunks: queue.Queue) -> None:
    """Put the file's bytes in the queue chunk by chunk, then b"" for its end, or the error."""
    try:
        with urlopen(url, timeout=timeout_s) as response:
            while chunk := response.read(CHUNK_BYTES):
                chunks.put(chunk)
        chunks.put(b"")
    except (OSError, HTTPException, ValueError) as error:
        chunks.put(error)
