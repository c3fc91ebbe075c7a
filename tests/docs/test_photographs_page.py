"""Run docs/photographs.md on a small made data set in the place of BCCD."""

import csv
import hashlib
import zipfile

import numpy as np
import pytest
from darknet_weights import empty_file, tiny_floats
from page_runs import ROOT, blocks, copy_repository, run_page
from PIL import Image

import get_data
import get_weights

PAGE = (ROOT / "docs" / "photographs.md").read_text(encoding="utf-8")
SHORT = "--train-input-size 64 --train-input-scales 1 --augment-sizes 1 --train-epochs 1"
SHORTER = {
    "get_data.py bccd": "get_data.py bccd --from made.zip",
    "train.py --recipe images": f"train.py --recipe images --precision float32 {SHORT}",
    "--name bccd-scratch": "--name bccd-scratch --help",  # one training is enough
    "detect.py": "detect.py --score-threshold 0.001",
}
PARTS = {"train": range(8), "val": range(8, 12), "test": range(12, 16)}
CORNERS = "".join(f"<{tag}>{{}}</{tag}>" for tag in ("xmin", "ymin", "xmax", "ymax"))
OBJECT = f"<object><name>{{}}</name><bndbox>{CORNERS}</bndbox></object>"


def made_archive(path) -> str:
    """Write 16 images of dark squares as GitHub's archive has them; return their checksum."""
    rng, files = np.random.default_rng(0), {}
    folder = path.parent
    for number in range(16):
        image, boxes = np.full((48, 64, 3), 200, np.uint8), []
        for name, left in zip(("RBC", "WBC", "Platelets"), (2, 22, 42), strict=True):
            x, y = left + rng.integers(0, 4), rng.integers(1, 28)
            width, height = rng.integers(10, 18, 2)
            image[y : y + height, x : x + width] = rng.integers(0, 100, 3)
            boxes.append(OBJECT.format(name, x + 1, y + 1, x + width, y + height))
        Image.fromarray(image).save(folder / "one.jpg")
        files[f"JPEGImages/{number}.jpg"] = (folder / "one.jpg").read_bytes()
        files[f"Annotations/{number}.xml"] = f"<annotation>{''.join(boxes)}</annotation>".encode()
    for part, numbers in PARTS.items():
        files[f"ImageSets/Main/{part}.txt"] = "".join(f"{n}\n" for n in numbers).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"BCCD_Dataset-master/BCCD/{name}", content)
    return get_data.checksum(files)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Copy the repository with made data and weights, whose checksums its tools expect."""
    copy = copy_repository(tmp_path_factory.mktemp("page") / "yolo v3")
    (copy / "model_data").mkdir()
    weights = empty_file(copy / "model_data" / "yolov3-tiny.weights", tiny_floats(80))
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    for script, published, made in (
        ("get_data.py", get_data.CHECKSUMS["bccd"], made_archive(copy / "made.zip")),
        ("get_weights.py", get_weights.CHECKSUMS[weights.name], sha256),
    ):
        path = copy / "tools" / script
        path.write_text(path.read_text().replace(published, made))
    return copy


def test_the_commands_run_and_leave_what_the_page_names(copy):
    assert all(text in "".join(blocks(PAGE, "bash")) for text in SHORTER)
    printed = run_page(PAGE, copy, SHORTER)
    assert f"{copy}/data/bccd: the checksum is right\n" in printed
    counts = {part: len(numbers) for part, numbers in PARTS.items()}
    for part, count in counts.items():
        assert f"wrote data/bccd_{part}.txt: {count} images and {3 * count} boxes\n" in printed
    [row] = csv.DictReader((copy / "log" / "bccd" / "results.csv").open())
    assert (row["epoch"], row["step"], row["input_size"]) == ("1", "2", "64")
    assert list((copy / "checkpoints" / "bccd").glob("best-*"))
    assert (copy / "data" / "look" / "images.png").stat().st_size > 0
    assert len(list((copy / "data" / "found").glob("*.jpg"))) == 16
