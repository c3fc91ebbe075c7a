"""Fixtures that several test files share."""

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before the first test imports TensorFlow
os.environ["TF_ONEDNN_ASSUME_FROZEN_WEIGHTS"] = "0"  # many networks share this process

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from digit_samples import plain_digits  # noqa: E402
from local_site import Site  # noqa: E402
from script_runs import TIMEOUT_S, command, environment, training_flags  # noqa: E402

from mnist.scenes import paste  # noqa: E402
from mnist.sklearn_digits import read_offline_digits  # noqa: E402
from yolov3 import text  # noqa: E402
from yolov3.annotations import format_line  # noqa: E402

# What a shell starts in the background ignores Ctrl-C; these tests send it and count on it.
signal.signal(signal.SIGINT, signal.default_int_handler)

NUM_SCENES = 8
SCENE_SIZE = 128  # pixels


@pytest.fixture(scope="session")
def digit_scenes(tmp_path_factory) -> Path:
    """Return the annotations of eight 128 px scenes, each with two large digits; read them only.

    The folder has a space in its name, and `digits.names` beside the annotations.
    """
    folder = tmp_path_factory.mktemp("digit scenes")
    images, labels, _, _ = read_offline_digits()
    rng = np.random.default_rng(0)
    lines = []
    for number in range(NUM_SCENES):
        chosen = rng.integers(0, len(images), 2)
        sides = rng.integers(44, 62, 2)
        corners = rng.integers(0, 64 - sides + 1, (2, 2)).T + [[0, 64 * (number % 2)], [64, 0]]
        if number % 2 == 0:
            corners[1, 1] += 64  # the other diagonal of the scene
        boxes_xyxy = np.concatenate([corners, corners + sides[:, None]], axis=1)
        path = folder / f"scene {number}.png"
        cv2.imwrite(str(path), paste(images[chosen], boxes_xyxy, SCENE_SIZE))
        lines.append(format_line(path, boxes_xyxy, labels[chosen]))
    (folder / "digits.names").write_text("\n".join("0123456789") + "\n")
    annotations = folder / "scenes.txt"
    annotations.write_text("\n".join(lines) + "\n")
    return annotations


class Trained(NamedTuple):
    """A training that was run as a process: where, its exit code, and what it printed."""

    folder: Path
    code: int
    out: str
    error: str


@pytest.fixture(scope="session")
def trained(digit_scenes, tmp_path_factory) -> Trained:
    """Train in a folder with a space in its name, and press Ctrl-C after the first validation."""
    folder = tmp_path_factory.mktemp("a run")
    process = subprocess.Popen(
        command("train.py", *training_flags(digit_scenes), "--train-epochs=500"),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    try:
        for line in process.stderr:
            lines.append(line)
            if line.startswith("validation: "):
                process.send_signal(signal.SIGINT)
                break
        out, error = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    return Trained(folder, process.returncode, out, "".join(lines) + error)


@pytest.fixture
def mnist(tmp_path) -> str:
    """Return a small mnist.npz: ink 100 to 109 in training digits, 200 to 209 in test digits."""
    (x_train, y_train), (x_test, y_test) = plain_digits(100), plain_digits(200)
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return str(path)


@pytest.fixture
def installed_fonts(monkeypatch):
    """Return a function that makes these font files all that the machine has, at first none."""

    def forget():
        for function in vars(text).values():
            getattr(function, "cache_clear", lambda: None)()

    def install(*files):
        monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: list(files))
        forget()

    install()
    yield install
    monkeypatch.undo()
    forget()


@pytest.fixture
def serve(monkeypatch):
    """Return a function that starts a Site; all are closed in the end."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    sites = []

    def start(content: bytes, **kwargs) -> Site:
        sites.append(Site(content, **kwargs))
        threading.Thread(target=sites[-1].serve_forever, args=(0.01,), daemon=True).start()
        return sites[-1]

    yield start
    for site in sites:
        site.shutdown()
        site.server_close()


@pytest.fixture(scope="session")
def coco_yolov3():
    """Return YOLOv3 for 80 classes; give it other weights, but leave its layers as they are."""
    from yolov3.yolov3 import build_yolov3

    return build_yolov3(80)


@pytest.fixture(scope="session")
def _tiny_network():
    from weight_changes import snapshot

    from yolov3.yolov3 import build_yolov3

    model = build_yolov3(3, tiny=True)
    return model, snapshot(model)


@pytest.fixture
def tiny_yolov3(_tiny_network):
    """Return YOLOv3-tiny for 3 classes with its initial weights, all free to learn."""
    from yolov3.weights import freeze_backbone, load_state_dict

    model, weights = _tiny_network
    load_state_dict(model, weights)
    freeze_backbone(model, False)
    return model
