"""Tests of what all scripts do alike: exit codes, one-line errors, a reader that has gone."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
import tensorflow as tf

from yolov3.cli.run import InputErrors, StopRequest, run_script
from yolov3.configs import REPO


def end_of(main, capsys):
    """Return the exit code and what went to standard error."""
    with pytest.raises(SystemExit) as end:
        run_script(main)
    return end.value.code, capsys.readouterr().err


def raise_(error):
    raise error


def run_body(body, **kwargs) -> subprocess.CompletedProcess:
    """Run a script whose `main` has this body as a process of its own."""
    code = (
        f"import sys\nfrom yolov3.cli.run import InputErrors, run_script\ndef main():\n    {body}\n"
    )
    kwargs = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | kwargs
    return subprocess.run([sys.executable, "-c", code + "run_script(main)"], cwd=REPO, **kwargs)


OOM = "OOM when allocating tensor with shape[64,416,416,64]"
ADVICE = "smaller batches or images take less\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("a.txt:3: expected a box"), 2, "error: a.txt:3: expected a box\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (InputErrors("2 bad lines:", "  a", "  b"), 2, "error: 2 bad lines:\n  a\n  b\n"),
        (ValueError("a\nb.txt: no text"), 2, "error: a\\nb.txt: no text\n"),
        (OSError("No space left on device"), 1, "failed: No space left on device\n"),
        (MemoryError(), 1, f"failed: out of memory (MemoryError); {ADVICE}"),
        (
            tf.errors.ResourceExhaustedError(None, None, f"{OOM}\nhint: more lines"),
            1,
            f"failed: out of memory ({OOM}); {ADVICE}",
        ),
    ],
)
def test_errors_are_one_line_and_a_code(capsys, error, code, line):
    assert end_of(lambda: raise_(error), capsys) == (code, line)


def test_mistakes_of_the_program_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_script(lambda: raise_(ZeroDivisionError()))


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_a_file_name_that_is_not_utf_8_is_printed_as_an_escape(encoding):
    name = os.fsdecode(b"a\xff.png")
    body = f"print({name!r}); print({name!r}, file=sys.stderr); return 0"
    done = run_body(body, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stdout, done.stderr) == (0, *["a\\udcff.png\n"] * 2)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_nothing_that_a_terminal_obeys_reaches_it(encoding):
    body = r"""name = '\x1b[31m\r\x9b2K\u202egnp.\u4eba [red]\ttab'; print(name)
    raise InputErrors(name + ':', '  line 1', '  a\nb')"""
    done = run_body(body, env={**os.environ, "PYTHONIOENCODING": encoding}, encoding=encoding)
    letter = "\u4eba" if encoding == "utf-8" else r"\u4eba"
    name = rf"\x1b[31m\r\x9b2K\u202egnp.{letter} [red]" + "\ttab"
    assert (done.returncode, done.stdout) == (2, f"{name}\n")
    lines = f"error: {name}:\n  line 1\n  a\\nb\n"
    assert done.stderr == lines.replace("\t", "\\t")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk always full")
def test_output_to_a_full_disk_is_one_line_and_a_code():
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        done = run_body("print('found'); return 0", env=environment, stdout=full)
    message = "failed: [Errno 28] No space left on device\n"
    assert (done.returncode, done.stderr) == (1, message)


@pytest.mark.parametrize(
    "body",
    [
        "print('found'); return 0",
        "print('found', flush=True); return 0",
    ],
)
def test_closed_output_is_no_error_message(body):
    reader, writer = os.pipe()
    os.close(reader)
    done = run_body(body, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_thread_that_hangs_in_a_library_does_not_keep_the_script():
    body = (
        "import threading, time; from yolov3.cli.run import LEFT_BEHIND; print('done')\n"
        "    threading.Thread(target=time.sleep, args=[60], name=LEFT_BEHIND).start(); return 130"
    )
    run = run_body(body, timeout=30)
    assert (run.returncode, run.stdout, run.stderr) == (130, "done\n", "")


def test_the_first_signal_asks_and_a_second_acts_at_once():
    for number in StopRequest.SIGNALS:
        with StopRequest() as stop:
            assert not stop.requested
            os.kill(os.getpid(), number)
            assert stop.requested
    with pytest.raises(KeyboardInterrupt), StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        os.kill(os.getpid(), signal.SIGINT)


def test_signals_are_as_before_afterwards():
    before = [signal.getsignal(number) for number in StopRequest.SIGNALS]
    with contextlib.suppress(ZeroDivisionError), StopRequest():
        assert [signal.getsignal(number) for number in StopRequest.SIGNALS] != before
        raise_(ZeroDivisionError())
    assert [signal.getsignal(number) for number in StopRequest.SIGNALS] == before
