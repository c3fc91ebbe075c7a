"""Run the scripts as a user does: as processes, or by their `main` with the errors of a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from yolov3.cli.run import ASSUME_FROZEN_WEIGHTS, run_script
from yolov3.configs import REPO

TIMEOUT_S = 240


def command(script: str, *args) -> list[str]:
    """Return the words that run a script of the repo in a process of its own."""
    return [sys.executable, str(REPO / script), *map(str, args)]


def run(folder: Path, script: str, *args) -> subprocess.CompletedProcess:
    """Run a script of the repo as a process, with `folder` as the current one."""
    return subprocess.run(
        command(script, *args),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


def environment() -> dict[str, str]:
    """Return an environment without a screen or a GPU, as a server has it."""
    left_out = ("DISPLAY", "WAYLAND_DISPLAY", ASSUME_FROZEN_WEIGHTS)  # the last is conftest's
    kept = {k: v for k, v in os.environ.items() if k not in left_out}
    return {**kept, "CUDA_VISIBLE_DEVICES": "-1"}


def training_flags(scenes: Path) -> list[str]:
    """Return the flags of a training that takes seconds: one small input size, one precision."""
    return [
        "--tiny",
        f"--train-classes={scenes.parent / 'digits.names'}",
        f"--train-annot-path={scenes}",
        f"--test-annot-path={scenes}",
        "--train-input-size=64",
        "--train-input-scales=1",
        "--precision=float32",
    ]


def exit_code(main, argv) -> int:
    """Run a script's `main` as its process does, and return the exit code of that."""
    with pytest.raises(SystemExit) as left:
        run_script(lambda: main([str(arg) for arg in argv]))
    return left.value.code


def refusal(capfd, main, argv) -> str:
    """Return the one error line of a script that ends with 2."""
    code = exit_code(main, argv)
    out, error = capfd.readouterr()
    assert code == 2, out + error
    assert "Traceback" not in error
    *others, line = error.splitlines()
    assert "error: " in line and not any("usage: " in other for other in others)
    return line


def write(path: Path, text: str) -> Path:
    """Write a text file and return its path."""
    path.write_text(text)
    return path
