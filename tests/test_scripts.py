"""The scripts as a user runs them: what they write, print and exit with, also for bad input."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import detect_mnist
import evaluate_mAP
import train
from yolov3 import records
from yolov3.checkpoints import find_checkpoint
from yolov3.cli import run_script
from yolov3.configs import Config
from yolov3.images import read_image

REPO = Path(__file__).resolve().parents[1]
TIMEOUT = 240  # seconds


def command(script: str, *args) -> list[str]:
    return [sys.executable, str(REPO / script), *map(str, args)]


def environment() -> dict:
    """Return an environment without a screen or a GPU, as a server has it."""
    kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return {**kept, "CUDA_VISIBLE_DEVICES": "-1"}


def run(folder: Path, script: str, *args) -> subprocess.CompletedProcess:
    """Run a script of the repo from `folder`; fail with what it printed unless it ends with 0."""
    done = subprocess.run(
        command(script, *args),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def training_flags(scenes: Path) -> list[str]:
    return [
        "--tiny",
        f"--train-classes={scenes.parent / 'digits.names'}",
        f"--train-annot-path={scenes}",
        f"--test-annot-path={scenes}",
        "--train-input-size=64",
        "--precision=float32",
    ]


@pytest.fixture(scope="module")
def trained(digit_scenes, tmp_path_factory):
    """Train for an epoch in a folder with a space in its name; return folder and process."""
    folder = tmp_path_factory.mktemp("a run")
    return folder, run(folder, "train.py", *training_flags(digit_scenes), "--train-epochs=1")


def test_train_writes_checkpoints_and_log(trained):
    folder, done = trained
    [name] = os.listdir(folder / "checkpoints")
    assert name.startswith("yolov3-tiny_")
    kept = folder / "checkpoints" / name
    assert sorted(os.listdir(kept)) == ["best-000002", "last-000002"]
    written = {"model.safetensors", "config.json", "state.json", "checksums.json"}
    assert set(os.listdir(kept / "best-000002")) == written
    assert set(os.listdir(kept / "last-000002")) == written | {"resume.safetensors"}
    config = json.loads((kept / "best-000002" / "config.json").read_text())
    assert config["tiny"] is True and config["train_epochs"] == 1
    assert len(list((folder / "log" / name).glob("events.out.tfevents.*"))) == 1
    assert "yolov3-tiny, 10 classes" in done.stdout
    assert "8 pictures to train on, 8 to validate on" in done.stdout
    assert "python evaluate_mAP.py" in done.stdout
    assert "epoch 1/1 64 px" in done.stderr and "validation: loss" in done.stderr
    assert "Traceback" not in done.stderr


def test_resume_of_a_finished_run_says_so(trained, monkeypatch, capsys):
    folder, _ = trained
    monkeypatch.chdir(folder)
    assert train.main(["--resume"]) == 0
    out = capsys.readouterr().out
    assert "at step 2 of 2" in out and "finished" in out


def test_evaluate_writes_its_figures_as_json(trained):
    folder, _ = trained
    done = run(folder, "evaluate_mAP.py", "--json", "my figures/result.json")
    result = json.loads((folder / "my figures" / "result.json").read_text())
    assert {"AP50", "AP75", "AP", "per_class", "images", "images_per_second"} <= result.keys()
    assert result["images"] == 8 and result["images_per_second"] > 0
    assert list(result["per_class"]) == list("0123456789")
    for name in ("AP50", "AP75", "AP"):
        assert 0 <= result[name] <= 1
    assert sum(row["boxes"] for row in result["per_class"].values()) == 16
    assert "all classes" in done.stdout and "saved my figures/result.json" in done.stdout


def test_detect_mnist_saves_the_chosen_scenes(trained):
    folder, _ = trained
    flags = ["--count=2", "--seed=1", "--score-threshold=0", "--output=found here"]
    first = run(folder, "detect_mnist.py", *flags)
    pictures = sorted((folder / "found here").iterdir())
    assert len(pictures) == 2 and all(path.name.startswith("scene ") for path in pictures)
    for path in pictures:
        drawn = read_image(path)
        assert drawn.shape == (128, 128, 3)
        assert np.any(drawn[..., 0] != drawn[..., 1])  # a grey scene has colour only from boxes
    assert first.stdout.count("saved found here") == 2


def test_detect_mnist_takes_a_picture(trained, digit_scenes, monkeypatch, capsys):
    folder, _ = trained
    monkeypatch.chdir(folder)
    picture = digit_scenes.parent / "scene 3.png"
    flags = [f"--image={picture}", "--no-show", "--output=one.jpg"]
    assert detect_mnist.main([*flags, "--score-threshold=0"]) == 0
    assert read_image(folder / "one.jpg").shape == (128, 128, 3)
    assert f"{picture}: " in capsys.readouterr().out
    assert detect_mnist.main([*flags, "--score-threshold=1"]) == 1  # nothing found


def test_interrupt_ends_training_with_a_checkpoint_to_resume(
    digit_scenes, tmp_path, monkeypatch, capsys
):
    process = subprocess.Popen(
        command("train.py", *training_flags(digit_scenes), "--train-epochs=500"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = next(line for line in process.stderr if line.startswith("epoch 1/"))
        assert line.startswith("epoch 1/500 ")
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode == 130, out + error
    assert "Traceback" not in error
    stopped = find_checkpoint(tmp_path / "checkpoints", "last")
    assert f"stopped at step {stopped.step} of 1000" in out
    assert f"python train.py --resume {stopped.path.parent.relative_to(tmp_path)}" in out

    monkeypatch.chdir(tmp_path)
    epochs = stopped.epoch + 2
    assert train.main(["--resume", f"--train-epochs={epochs}", "--test-annot-path="]) == 0
    out = capsys.readouterr().out
    assert f"changed: train_epochs from 500 to {epochs} (the run will differ)" in out
    assert f"at step {stopped.step} of {2 * epochs}" in out
    assert find_checkpoint(tmp_path / "checkpoints", "last").step == 2 * epochs


def refusal(capfd, main, argv) -> str:
    """Return the one error line of a script that ends with 2; argparse puts its usage above."""
    with pytest.raises(SystemExit) as left:
        run_script(lambda: main([str(arg) for arg in argv]))
    out, error = capfd.readouterr()
    assert left.value.code == 2, out + error
    assert "Traceback" not in error
    *usage, line = error.splitlines()
    assert "error: " in line
    assert not usage or usage[0].startswith("usage: ")
    assert not any("error: " in other for other in usage)
    return line


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", "bad.txt: no annotated picture"),
        ("gone.png 1,2,30,40,5", "bad.txt:1: expected a picture; received"),
        ("\nnot_a_picture.png 1,2,30,40,5", "bad.txt:2: expected a picture; received"),
        ("white.png 1,2,300,40,5", "bad.txt:1: expected boxes inside the 60x50 picture"),
        (
            "white.png 1,2,30,40,10",
            "bad.txt:1: expected a label in [0, 9]; received '1,2,30",
        ),
        ("white.png 1,2,30,40", "bad.txt:1: expected xmin,ymin,xmax,ymax,label"),
    ],
)
@pytest.mark.parametrize("flag", ["--train-annot-path", "--test-annot-path"])
def test_train_refuses_bad_annotations(digit_scenes, tmp_path, capfd, lines, expected, flag):
    import cv2

    cv2.imwrite(str(tmp_path / "white.png"), np.full((50, 60), 255, np.uint8))
    write(tmp_path / "not_a_picture.png", "words")
    flags = [*training_flags(digit_scenes), f"--train-checkpoints-folder={tmp_path / 'new'}"]
    line = refusal(capfd, train.main, [*flags, f"{flag}={write(tmp_path / 'bad.txt', lines)}"])
    assert expected in line
    assert not (tmp_path / "new").exists()  # refused before anything is written


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--train-annot-path=gone.txt", "gone.txt: expected a file; there is none"),
        ("--test-annot-path=gone.txt", "gone.txt: expected a file; there is none"),
        ("--train-classes=gone.names", "gone.names: expected a file; there is none"),
        ("--train-input-size=100", "train_input_size: expected a positive multiple of 32"),
        ("--train-batch-size=0", "train_batch_size: expected at least 1; received 0"),
        ("--train-lr-init=fast", "argument --train-lr-init: invalid float value: 'fast'"),
        ("--precision=float8", "argument --precision: invalid choice: 'float8'"),
        ("--no-such-flag", "unrecognized arguments: --no-such-flag"),
        ("--resume=nowhere", "nowhere: expected a checkpoint or a folder of them; found none"),
        ("--weights=gone.weights", "gone.weights"),
    ],
)
def test_train_refuses_bad_flags(digit_scenes, tmp_path, monkeypatch, capfd, flag, expected):
    monkeypatch.chdir(tmp_path)
    assert expected in refusal(capfd, train.main, [*training_flags(digit_scenes), flag])
    assert not os.listdir(tmp_path)


def test_train_without_data_says_how_to_make_them(digit_scenes, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(records, "REPO", tmp_path)
    line = refusal(capfd, train.main, [f"--train-classes={digit_scenes.parent / 'digits.names'}"])
    assert Config.train_annot_path in line and "python mnist/make_data.py" in line


def test_resume_refuses_other_class_names_and_another_network(trained, tmp_path, capfd):
    folder, _ = trained
    names = write(tmp_path / "twelve.names", "\n".join(map(str, range(12))))
    resume = ["--resume", folder / "checkpoints"]
    line = refusal(capfd, train.main, [*resume, f"--train-classes={names}"])
    assert "twelve.names: expected the class names of" in line
    line = refusal(capfd, train.main, [*resume, "--no-tiny"])
    assert "last-000002: expected --tiny, as it was trained" in line


@pytest.mark.parametrize("main", [evaluate_mAP.main, detect_mnist.main])
def test_weights_that_are_not_there_are_refused(tmp_path, capfd, main):
    line = refusal(capfd, main, ["--weights", tmp_path / "nowhere"])
    assert "nowhere: expected a checkpoint" in line


@pytest.mark.parametrize("main", [evaluate_mAP.main, detect_mnist.main])
def test_a_damaged_checkpoint_is_refused(trained, tmp_path, capfd, main):
    damaged = tmp_path / "best-000002"
    shutil.copytree(find_checkpoint(trained[0] / "checkpoints").path, damaged)
    with open(damaged / "model.safetensors", "r+b") as weights:
        weights.truncate(1000)
    line = refusal(capfd, main, ["--weights", damaged])
    assert "best-000002: expected a whole checkpoint" in line and "model.safetensors" in line


def test_evaluate_refuses_bad_input(trained, tmp_path, capfd):
    weights = ["--weights", trained[0] / "checkpoints"]
    line = refusal(capfd, evaluate_mAP.main, [*weights, "--annotations", tmp_path / "gone.txt"])
    assert "gone.txt: expected a file" in line
    bad = write(tmp_path / "bad.txt", "gone.png 1,2,3,4,5")
    line = refusal(capfd, evaluate_mAP.main, [*weights, "--annotations", bad])
    assert "bad.txt:1: expected a picture" in line
    line = refusal(capfd, evaluate_mAP.main, ["--size=100"])
    assert "--size: expected a multiple of 32; received 100" in line
    line = refusal(capfd, evaluate_mAP.main, ["--iou-threshold=2"])
    assert "--iou-threshold: expected 0 to 1; received 2" in line


def test_detect_mnist_refuses_bad_input(trained, tmp_path, capfd):
    weights = ["--weights", trained[0] / "checkpoints"]
    no_picture = write(tmp_path / "words.png", "words")
    line = refusal(capfd, detect_mnist.main, [*weights, "--image", no_picture])
    assert "words.png: expected a picture; received 5 bytes that are none" in line
    line = refusal(capfd, detect_mnist.main, [*weights, "--image", tmp_path / "gone.png"])
    assert "gone.png: expected a picture; there is no such file" in line
    line = refusal(capfd, detect_mnist.main, [*weights, "--count=2", "--output=one.png"])
    assert "--output: expected a folder for several pictures; received 'one.png'" in line
    line = refusal(capfd, detect_mnist.main, ["--count=0"])
    assert "--count: expected at least 1; received 0" in line
