"""Fixtures that several test files share."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before the first test imports TensorFlow

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from mnist.offline import read_offline_digits  # noqa: E402
from mnist.scenes import paste  # noqa: E402
from yolov3.annotations import format_line  # noqa: E402

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
