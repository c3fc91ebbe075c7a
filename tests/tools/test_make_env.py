"""The environment that `make` needs, with a stand-in for Python that notes what it is asked."""

import os
import shutil
import subprocess

import pytest

from yolov3.configs import REPO

LISTS = ["pyproject.toml", "requirements.txt", "requirements-dev.txt"]
LISTS += ["benchmarks/requirements.txt"]
# Of this stand-in the version, what it lacks and what fails are files beside the project.
PYTHON = """#!/bin/sh
case "$*" in
    *sys.version_info*) cat "{folder}/version" ;;
    "-c import ensurepip, venv") [ ! -e "{folder}/no_venv" ] ;;
    -V) echo "Python $(cat "{folder}/version")" ;;
    "-m venv --clear .venv")
        rm -rf .venv; mkdir -p .venv/bin .venv/lib/python3.12/site-packages
        cp "$0" .venv/bin/python; echo "VIRTUAL_ENV='$PWD/.venv'" >.venv/bin/activate
        echo venv >>"{folder}/calls" ;;
    *"install --help") exec test ! -e .venv/half_a_pip ;;
    *pip*) echo "${{*#*--no-input }}" >>"{folder}/calls"; [ ! -e "{folder}/no_network" ] ;;
    "-c import cv2") [ ! -e "{folder}/no_libgl" ] ;;
    *opencv-python*) echo 4.14.0.94 ;;
esac
"""


@pytest.fixture
def project(tmp_path):
    """Make a project of lists of packages and the script, in a folder with a space in its name."""
    root = tmp_path / "a project"
    (root / "benchmarks").mkdir(parents=True)
    (root / "tools").mkdir()
    for name in LISTS:
        (root / name).write_text("numpy\n")
    shutil.copy(REPO / "tools" / "make_env.sh", root / "tools")
    python = tmp_path / "my python"
    python.write_text(PYTHON.format(folder=tmp_path))
    python.chmod(0o755)
    (tmp_path / "version").write_text("3.12\n")
    return root


def make(root, requirements="requirements.txt"):
    """Run the script; return exit code, errors, and what Python was asked to change."""
    calls = root.parent / "calls"
    calls.write_text("")
    done = subprocess.run(
        [root / "tools" / "make_env.sh", requirements],
        env=os.environ | {"PYTHON": str(root.parent / "my python")},
        capture_output=True,
        text=True,
        cwd="/",
    )
    return done.returncode, done.stderr, calls.read_text().splitlines()


def test_it_installs_once(project):
    assert make(project) == (0, "", ["venv", "install -r requirements.txt -e ."])
    assert make(project) == (0, "", [])
    assert make(project, "requirements-dev.txt")[2] == ["install -r requirements-dev.txt -e ."]
    assert make(project) == make(project, "requirements-dev.txt") == (0, "", [])


def test_it_installs_what_changed(project):
    make(project)
    for name in LISTS:
        (project / name).write_text("numpy>=2\n")
        assert make(project)[2] == ["install -r requirements.txt -e ."]


def test_a_moved_or_copied_folder_gets_a_new_environment(project):
    make(project)
    copied = shutil.copytree(project, project.parent / "copy")
    assert make(copied)[2] == ["venv", "install -r requirements.txt -e ."]
    assert make(project.rename(project.parent / "moved"))[2][0] == "venv"


@pytest.mark.parametrize("change", ["other version", "dead", "half a pip"])
def test_an_environment_that_does_not_run_is_made_again(project, change):
    make(project)
    python = project / ".venv" / "bin" / "python"
    if change == "other version":
        python.write_text(python.read_text().replace('cat "', 'echo 3.11; : "'))
    elif change == "dead":
        python.unlink()
    else:
        (project / ".venv" / "half_a_pip").touch()
        (project / ".venv" / "requirements.txt.stamp").unlink()
    assert make(project)[2] == ["venv", "install -r requirements.txt -e ."]


def test_an_interrupted_installation_is_finished(project):
    make(project)
    (project / "requirements.txt").write_text("numpy>=2\n")
    (project.parent / "no_network").touch()
    assert make(project)[0] != 0
    packages = project / ".venv" / "lib" / "python3.12" / "site-packages"
    for name, file in (("half-1.dist-info", "METADATA"), ("good-1.dist-info", "INSTALLER")):
        (packages / name).mkdir()
        (packages / name / file).touch()
    (project.parent / "no_network").unlink()
    assert make(project)[2] == ["install -r requirements.txt -e ."]
    assert [path.name for path in packages.iterdir()] == ["good-1.dist-info"]


def test_an_opencv_that_does_not_load_is_replaced_by_the_same_headless_version(project):
    (project.parent / "no_libgl").touch()
    assert make(project)[2][2:] == [
        "uninstall --yes opencv-python opencv-python-headless",
        "install --no-deps opencv-python-headless==4.14.0.94",
    ]


def test_without_a_suitable_python_it_says_so_in_one_line(project):
    python = project.parent / "my python"
    (project.parent / "no_venv").touch()
    code, error, _ = make(project)
    lacking = f"error: {python} lacks the venv module; on Debian: apt install python3.12-venv\n"
    assert (code, error) == (2, lacking)
    (project.parent / "version").write_text("3.14\n")
    code, error, _ = make(project)
    assert code == 2 and error.count("\n") == 1
    assert error.startswith(f"error: needs Python 3.11, 3.12 or 3.13; tried {python};")
    assert not (project / ".venv").exists()
