"""make_data.py: what it prints, what it refuses, and what it does not import."""

import subprocess
import sys

import pytest
from digit_samples import contents
from PIL import Image
from script_runs import environment, refusal, run

from mnist.make_data import main, make_data
from yolov3.configs import REPO


def test_the_command_works_from_anywhere_and_says_what_it_did(tmp_path, mnist):
    flags = ["--mnist=mnist.npz", "--output=out", "--train=3", "--test=2"]
    result = run(tmp_path, "mnist/make_data.py", *flags)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == "digits: mnist.npz (given with --mnist); 10 to train and 10 to test"
    assert lines[1] == f"wrote 3 scenes to {tmp_path / 'out' / 'mnist_train.txt'}"
    assert lines[2] == f"wrote 2 scenes to {tmp_path / 'out' / 'mnist_test.txt'}"
    assert lines[3].endswith("next: python train.py")
    assert Image.open(tmp_path / "out" / "mnist_train" / "000003.png").size == (416, 416)


def test_bad_digits_leave_the_earlier_data_alone(tmp_path, mnist, capfd):
    make_data(tmp_path / "out", mnist, train=3, test=2, size=160)
    before = contents(tmp_path / "out")
    flags = [f"--mnist={tmp_path / 'no.npz'}", f"--output={tmp_path / 'out'}"]
    assert f"error: {tmp_path / 'no.npz'}: expected mnist.npz" in refusal(capfd, main, flags)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--train=0", "--train: expected 1 to 999999; received 0"),
        ("--train=1000000", "received 1000000"),
        ("--size=41.6", "--size: expected a whole number; received 41.6"),
        ("--size=111", "--size: expected 112 to 4096; received 111"),
    ],
)
def test_bad_numbers_are_refused(tmp_path, mnist, capfd, flag, message):
    flags = [f"--mnist={mnist}", f"--output={tmp_path}", flag]
    assert message in refusal(capfd, main, flags)
    assert not list(tmp_path.glob("*/*.png"))


def test_the_command_needs_no_tensorflow_and_its_help_nothing_heavy(tmp_path, mnist):
    code = (
        "import sys; from mnist.make_data import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('tensorflow', 'numpy') if name in sys.modules])"
    )
    few = ["--mnist=mnist.npz", "--output=out", "--train=2", "--test=1"]
    for args, heavy in [(["--help"], "[]"), (few, "['numpy']")]:
        command = [sys.executable, "-c", code, *args]
        settings = {"env": environment() | {"PYTHONPATH": str(REPO)}, "cwd": tmp_path}
        result = subprocess.run(command, capture_output=True, text=True, **settings)
        assert result.stdout.splitlines()[-1] == heavy, result.stderr
