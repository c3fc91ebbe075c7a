"""Tests of the environment's set-up that need neither a network nor an installation."""

import fcntl
import os
import subprocess
import sys

import pytest

import env_packages
import setup_env


@pytest.fixture
def venv(tmp_path):
    """Make an environment with an empty package in the place of pip, which takes no time."""
    folder = tmp_path / "a folder" / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = env_packages.site_packages(folder) / "pip"
    pip.mkdir()
    (pip / "__init__.py").touch()
    (pip / "__main__.py").touch()
    return folder


def stamp(venv, *lines):
    (venv / env_packages.STAMP).write_text("\n".join(lines) + "\n")


def add_package(venv, name, *files):
    record = env_packages.site_packages(venv) / f"{name}.dist-info"
    record.mkdir()
    for file in files:
        (record / file).touch()
    return record


def test_requirements_are_read_with_nested_files_and_without_comments(tmp_path):
    (tmp_path / "base.txt").write_text("# why\nnumpy>=2,<3  # arrays\n\npillow\n")
    (tmp_path / "dev.txt").write_text("-r base.txt\nruff @ https://host/x#sha256=0\n")
    wanted = env_packages.read_requirements(tmp_path / "dev.txt")
    assert wanted == ["numpy>=2,<3", "pillow", "ruff @ https://host/x#sha256=0"]


def test_sound_environment_has_no_defect(venv):
    assert setup_env.find_defect(venv) == ""
    stamp(venv, str(venv), "numpy")
    assert setup_env.find_defect(venv) == ""


def test_moved_environment_is_found(venv):
    stamp(venv, str(venv), "numpy")
    moved = venv.rename(venv.with_name("moved"))
    assert setup_env.find_defect(moved) == f"was made for {venv}"


@pytest.mark.parametrize("stamped", [True, False])
def test_dead_interpreter_is_found(venv, stamped):
    if stamped:
        stamp(venv, str(venv))
    python = venv / "bin" / "python"
    python.unlink()
    python.symlink_to("/nonexistent/python")
    assert setup_env.find_defect(venv) == "is broken"


def test_environment_of_another_python_is_found(venv):
    lib = env_packages.site_packages(venv).parent
    lib.rename(lib.with_name("python3.99"))
    assert "another version" in setup_env.find_defect(venv)


def test_environment_with_half_a_pip_is_found(venv):
    (env_packages.site_packages(venv) / "pip" / "__main__.py").unlink()
    assert setup_env.find_defect(venv) == "is broken"


def test_nothing_is_installed_twice(venv, tmp_path, monkeypatch):
    installs = []
    monkeypatch.setattr(setup_env, "install", lambda wanted, venv: installs.append(wanted))
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("numpy\npillow\n")
    setup_env.set_up(requirements, venv)
    stamp(venv, str(venv), "ruff", "pillow", "numpy")
    setup_env.set_up(requirements, venv)
    requirements.write_text("numpy>=2\npillow\n")
    setup_env.set_up(requirements, venv)
    assert installs == [["numpy", "pillow"], ["numpy>=2", "pillow"]]


def test_failed_installation_leaves_no_stamp(venv, monkeypatch):
    def fail(*_):
        raise env_packages.SetupError("no network")

    stamp(venv, str(venv), "numpy")
    monkeypatch.setattr(env_packages, "run_pip", fail)
    with pytest.raises(env_packages.SetupError, match="no network"):
        env_packages.install(["numpy>=2"], venv)
    assert env_packages.read_stamp(venv) == []


def test_half_installed_package_is_forgotten(venv):
    whole = add_package(venv, "numpy-2.4.6", "METADATA", "INSTALLER")
    half = add_package(venv, "markdown-3.11", "METADATA")
    env_packages.remove_half_installed(venv)
    assert whole.exists() and not half.exists()


def test_opencv_that_does_not_load_is_replaced_by_the_same_headless_version(venv, monkeypatch):
    packages = env_packages.site_packages(venv)
    (packages / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open')\n")
    add_package(venv, "opencv_python-4.14.0.94", "INSTALLER")
    calls = []

    def fake_pip(_, *arguments):
        calls.append(arguments)
        if arguments[0] == "install":
            (packages / "cv2.py").write_text("fixed = True\n")

    monkeypatch.setattr(env_packages, "run_pip", fake_pip)
    env_packages.replace_unloadable_opencv(venv)
    assert calls == [
        ("uninstall", "--yes", "opencv-python"),
        ("install", "--no-deps", "opencv-python-headless==4.14.0.94"),
    ]


def test_opencv_that_loads_is_left_alone(venv, monkeypatch):
    (env_packages.site_packages(venv) / "cv2.py").touch()
    add_package(venv, "opencv_python-4.14.0.94", "INSTALLER")
    monkeypatch.setattr(env_packages, "run_pip", lambda *_: pytest.fail("pip was called"))
    env_packages.replace_unloadable_opencv(venv)


def test_opencv_that_never_loads_is_an_error(venv):
    with pytest.raises(env_packages.SetupError, match="No module named 'cv2'"):
        env_packages.replace_unloadable_opencv(venv)


def test_headless_opencv_stays_when_requirements_change(venv):
    wanted = ["opencv-python>=4.11,<5", "opencv-python-extras", "numpy"]
    assert env_packages.choose_opencv(wanted, venv) == wanted
    add_package(venv, "opencv_python_headless-4.14.0.94", "INSTALLER")
    expected = ["opencv-python-headless>=4.11,<5", "opencv-python-extras", "numpy"]
    assert env_packages.choose_opencv(wanted, venv) == expected


def test_python_without_venv_module_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(setup_env, "find_spec", lambda name: None if name == "ensurepip" else name)
    with pytest.raises(env_packages.SetupError, match=r"apt install python3\.\d+-venv"):
        setup_env.create(tmp_path / ".venv")


@pytest.mark.parametrize(
    ("version", "code"), [((3, 10), 2), ((3, 11), 0), ((3, 13), 0), ((3, 14), 2)]
)
def test_python_is_checked(version, code, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["setup_env.py", "--check-python"])
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    assert setup_env.main() == code


def test_requirements_that_are_not_there_end_it_with_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["setup_env.py", "gone.txt"])
    monkeypatch.setattr(setup_env, "ROOT", tmp_path)
    assert setup_env.main() == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "gone.txt" in error and error.count("\n") == 1
    assert not (tmp_path / ".venv").exists()


def test_only_one_process_sets_up_at_a_time(tmp_path):
    other = os.open(tmp_path, os.O_RDONLY)
    with setup_env.locked(tmp_path), pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
