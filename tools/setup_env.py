"""Make the project's environment in .venv: `python tools/setup_env.py [requirements-dev.txt]`.

Does nothing when .venv already holds what the requirements ask for, finishes an interrupted
installation, and starts again when .venv is broken, was moved or belongs to another Python.
Needs only the standard library of Python 3.11 to 3.13, on Linux or macOS.
"""

import argparse
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from env_packages import (
    SetupError,
    install,
    read_requirements,
    read_stamp,
    run_python,
    site_packages,
)

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)  # TensorFlow 2.21 has wheels for these


def main() -> int:
    """Bring .venv up to date and return the exit code."""
    args = parse_args()
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        print(f"error: needs Python 3.11 to 3.13, not {sys.version.split()[0]}", file=sys.stderr)
        return 2
    if args.check_python:
        return 0
    try:
        with locked(ROOT):
            set_up(ROOT / args.requirements, ROOT / ".venv")
    except (SetupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next run finishes the installation", file=sys.stderr)
        return 130
    return 0


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("requirements", nargs="?", default="requirements.txt")
    parser.add_argument("--check-python", action="store_true", help="only check this Python")
    return parser.parse_args()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time in, so that two calls of make never install at once."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("waiting for another process that sets up .venv", flush=True)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def set_up(requirements: Path, venv: Path) -> None:
    """Create, repair or complete `venv` so that it satisfies the file `requirements`."""
    wanted = read_requirements(requirements)
    if not venv.exists():
        create(venv)
    elif defect := find_defect(venv):
        print(f"making .venv anew: it {defect}", flush=True)
        create(venv)
    if not set(wanted) <= set(read_stamp(venv)[1:]):
        install(wanted, venv)


def find_defect(venv: Path) -> str:
    """Return why `venv` must be made anew, or an empty string."""
    if not site_packages(venv).is_dir():
        return "is incomplete or belongs to another version of Python"
    stamp = read_stamp(venv)
    if stamp and stamp[0] != str(venv):  # activate and the scripts in bin hold absolute paths
        return f"was made for {stamp[0]}"
    # Without a stamp even pip may be half there, so load all that an installation needs.
    probe = ["-c", "import pip"] if stamp else ["-m", "pip", "install", "--help"]
    if run_python(venv, *probe).returncode:
        return "is broken"
    return ""


def create(venv: Path) -> None:
    """Make an empty environment in place of whatever is there."""
    if not (find_spec("venv") and find_spec("ensurepip")):  # Debian keeps them in a package apart
        package = "python{}.{}-venv".format(*sys.version_info[:2])
        raise SetupError(
            f"{sys.executable} lacks the venv module; on Debian or Ubuntu: apt install {package}"
        )
    print(f"creating .venv with Python {sys.version.split()[0]}", flush=True)
    if subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)]).returncode:
        raise SetupError(f"could not create {venv}")


if __name__ == "__main__":
    sys.exit(main())
