"""Turn Ctrl-C and SIGTERM into a request that a loop answers between two steps."""

import signal


class StopRequest:
    """Within `with StopRequest() as stop:`, `stop.requested` tells that a signal came.

    The first signal only asks, so that the step in hand is finished and saved; a second one acts at
    once.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self):
        self.requested = False

    def __enter__(self):
        self._before = {number: signal.signal(number, self._ask) for number in self.SIGNALS}
        return self

    def __exit__(self, *_):
        self._restore()

    def _ask(self, *_):
        self.requested = True
        self._restore()

    def _restore(self):
        for number, handler in self._before.items():
            signal.signal(number, handler)
