"""A disk that is full for the time of a `with`."""

import contextlib
import resource
import signal


@contextlib.contextmanager
def full_disk(size):
    """Bound every file of this process to a number of bytes: that of pytest's output, too."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing more is an error, no signal
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
