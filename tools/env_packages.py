"""Install the packages of a requirements file into a virtual environment.

A stamp inside the environment says what is installed. It goes before pip changes anything and comes
back when all is done, so an interrupted installation never looks complete.
"""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

STAMP = "installed.txt"  # line 1: where the environment was made; then one requirement per line
OPENCV, HEADLESS = "opencv-python", "opencv-python-headless"


class SetupError(Exception):
    """What went wrong, in one line for the user."""


def read_requirements(path: Path) -> list[str]:
    """Return the lines of a requirements file without comments, with `-r` files in place."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if line.startswith("-r "):
            lines += read_requirements(path.parent / line.removeprefix("-r ").strip())
        elif line:
            lines.append(line)
    return lines


def read_stamp(venv: Path) -> list[str]:
    """Return the lines of the stamp, none if an installation never finished."""
    stamp = venv / STAMP
    return stamp.read_text(encoding="utf-8").splitlines() if stamp.exists() else []


def install(wanted: list[str], venv: Path) -> None:
    """Install the requirement lines `wanted`, then leave the stamp that says so."""
    start = time.monotonic()
    if installed_version("tensorflow", venv):
        print("bringing the packages in .venv up to date", flush=True)
    else:
        print("installing packages (about 800 MB to download, 2.7 GB on disk)", flush=True)
    (venv / STAMP).unlink(missing_ok=True)
    remove_half_installed(venv)
    listing = venv / "wanted.txt"
    listing.write_text("\n".join(choose_opencv(wanted, venv)) + "\n", encoding="utf-8")
    run_pip(venv, "install", "-r", str(listing))
    replace_unloadable_opencv(venv)
    (venv / STAMP).write_text("\n".join([str(venv), *wanted]) + "\n", encoding="utf-8")
    print(f".venv is ready after {time.monotonic() - start:.0f} s", flush=True)


def remove_half_installed(venv: Path) -> None:
    """Make pip forget packages whose installation was cut off; it writes INSTALLER near the end."""
    for record in site_packages(venv).glob("*.dist-info"):
        if not (record / "INSTALLER").exists():
            shutil.rmtree(record)


def choose_opencv(wanted: list[str], venv: Path) -> list[str]:
    """Ask for the headless OpenCV where it is installed; the other would overwrite its files."""
    if not installed_version(HEADLESS, venv):
        return wanted
    return [re.sub(rf"^{OPENCV}(?![-\w])", HEADLESS, line) for line in wanted]


def replace_unloadable_opencv(venv: Path) -> None:
    """Swap opencv-python for the same version without windows where its libraries are missing."""
    problem = import_problem("cv2", venv)
    version = installed_version(OPENCV, venv)
    if problem and version:
        print(f"opencv-python does not load here ({problem});", flush=True)
        print(f"installing {HEADLESS} {version} in its place", flush=True)
        run_pip(venv, "uninstall", "--yes", OPENCV)
        run_pip(venv, "install", "--no-deps", f"{HEADLESS}=={version}")
        problem = import_problem("cv2", venv)
    if problem:
        raise SetupError(f"OpenCV cannot be imported: {problem}")


def site_packages(venv: Path) -> Path:
    """Return where `venv` keeps the packages of the Python that runs this."""
    return venv / "lib" / "python{}.{}".format(*sys.version_info[:2]) / "site-packages"


def installed_version(package: str, venv: Path) -> str:
    """Return the installed version of `package`, or an empty string."""
    prefix = package.replace("-", "_") + "-"
    for record in site_packages(venv).glob(f"{prefix}*.dist-info"):
        return record.name.removeprefix(prefix).removesuffix(".dist-info")
    return ""


def import_problem(module: str, venv: Path) -> str:
    """Return the error of importing `module` in `venv`, or an empty string."""
    result = run_python(venv, "-c", f"import {module}")
    if result.returncode == 0:
        return ""
    return (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]


def run_python(venv: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run the interpreter of `venv` and catch its output; exit code 127 if it cannot start."""
    command = [str(venv / "bin" / "python"), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, stdout="", stderr=str(error))


def run_pip(venv: Path, *arguments: str) -> None:
    """Run pip, showing its errors and its larger downloads only."""
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    with subprocess.Popen([*pip, *arguments], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if match := re.match(r"\s*Downloading (\S+) \((\S+ MB)\)", line):
                print(f"  {match[1].rpartition('/')[2]} ({match[2]})", flush=True)
            elif line.startswith("Installing collected packages"):
                print("  unpacking", flush=True)
    if process.returncode:
        raise SetupError(f"pip {arguments[0]} failed, see above; run the same command again")
