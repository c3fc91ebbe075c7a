"""The frame of every script: exit codes, one-line errors, Ctrl-C, a quiet TensorFlow."""

import contextlib
import os
import signal
import sys
import tempfile
import threading

from yolov3.text import PrintableStream, printable

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
LEFT_BEHIND = "left behind"  # names a thread that may hang in a library when the script ends
ASSUME_FROZEN_WEIGHTS = "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"


class InputErrors(ValueError):
    """Bad input in several places: each argument is a line of the message."""

    def __str__(self) -> str:
        return "\n".join(self.args)


def run_script(main) -> None:
    """Call `main() -> exit code` and leave with it: 2 and one line for bad input, 130 on Ctrl-C.

    A ValueError is bad input, and a list of it where it is `InputErrors`. An OSError, such as a
    full disk, and too little memory (also of a GPU) are failures: 1 and one line.
    If nobody reads the output any more, as after `| head`, it is 1 without a message. Characters
    that the output's encoding lacks or a terminal obeys, as in some file names, are printed as
    escapes.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = PrintableStream(sys.stdout), PrintableStream(sys.stderr)
    try:
        try:
            code = _exit_code(main)
        finally:
            sys.stdout.flush()  # here, so that a full disk or a reader that has gone is noticed
        if any(thread.name == LEFT_BEHIND for thread in threading.enumerate()):
            os._exit(code)  # C++ aborts where Python ends around a thread in it
        sys.exit(code)
    except OSError as error:  # of the output
        if not isinstance(error, BrokenPipeError):
            print(f"failed: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # takes what is left
        sys.exit(FAILED)


def _exit_code(main) -> int:
    try:
        return main()
    except KeyboardInterrupt:
        code, message = INTERRUPTED, "interrupted"
    except BrokenPipeError:
        raise
    except ValueError as error:
        lines = error.args if isinstance(error, InputErrors) else [str(error)]
        code, message = BAD_INPUT, "error: " + "\n".join(map(printable, lines))
    except OSError as error:
        code, message = FAILED, f"failed: {error}"
    except Exception as error:  # TensorFlow's by its name, since many scripts never import it
        if not isinstance(error, MemoryError) and type(error).__name__ != "ResourceExhaustedError":
            raise
        what = str(error).partition("\n")[0] or type(error).__name__
        advice = "smaller batches or images take less"
        code, message = FAILED, f"failed: out of memory ({what}); {advice}"
    print(message, file=sys.stderr)
    return code


class StopRequest:
    """Within `with StopRequest() as stop:`, `stop.requested` tells that Ctrl-C or SIGTERM came.

    The first signal only asks, so that the step in hand is finished and saved; a second one acts at
    once.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)
    requested = False

    def __enter__(self):
        self._before = {number: signal.signal(number, self._ask) for number in self.SIGNALS}
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_):
        self.requested = True
        self.__exit__()


def import_tensorflow(frozen_weights: bool = False) -> None:
    """Import TensorFlow without its start-up messages, and let it take GPU memory as it needs it.

    No log level turns those messages off: they go to the process's standard error before TensorFlow
    reads its settings. So that is held back, and shown if the import fails. TF_CPP_MIN_LOG_LEVEL=0
    shows everything.

    `frozen_weights` promises that no convolution of this process ever gets other weights: on a CPU
    they are then laid out for its kernels once, not before every image. A process that trains
    would keep its first weights, so the setting of an outer shell does not reach it.
    """
    if frozen_weights:
        os.environ.setdefault(ASSUME_FROZEN_WEIGHTS, "1")
    else:
        os.environ[ASSUME_FROZEN_WEIGHTS] = "0"
    is_quiet = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "0"
    with _held_back_stderr() if is_quiet else contextlib.nullcontext():
        from yolov3.kernels.hardware import grow_gpu_memory  # imports TensorFlow

        grow_gpu_memory()


@contextlib.contextmanager
def _held_back_stderr():
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        kept = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
