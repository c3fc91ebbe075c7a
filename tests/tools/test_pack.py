"""tools/pack.py as a command: the same data set from shards, and bad input."""

import tarfile

import numpy as np
import pytest
from PIL import Image
from script_runs import run

from yolov3.annotations import read_annotations
from yolov3.data.annotation_check import check_annotations, fingerprint
from yolov3.images import read_image

TOOL = "tools/pack.py"


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a b.png", "deep/a b.png", "c.jpg", "d.bmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(tmp_path / name)
    lines = "a b.png 1,2.5,3,4,1", "deep/a b.png", "c.jpg 5,6,7,8,0 1,2,3,4,0", "d.bmp", "c.jpg"
    (tmp_path / "train.txt").write_text("\n".join(lines))
    return tmp_path


def test_the_data_set_is_the_same_from_shards(folder):
    packed = run(folder, TOOL, "train.txt", "--output", "out/packed", "--shard-size", "3")
    assert (packed.returncode, packed.stderr) == (0, "")
    assert packed.stdout == "out/packed/train.txt: 4 images in 2 shards\n"
    files, shards = (read_annotations(folder / x) for x in ("train.txt", "out/packed/train.txt"))
    for one, other in zip(files, shards, strict=True):
        np.testing.assert_array_equal(read_image(one.image_path), read_image(other.image_path))
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)
        np.testing.assert_array_equal(one.classes, other.classes)
        shard, name = other.image_path.split("#")
        with tarfile.open(shard) as tar:  # any program can unpack it
            content = tar.extractfile(name).read()
        with open(one.image_path, "rb") as stream:
            assert content == stream.read()
    reports = [check_annotations(folder / x, 2) for x in ("train.txt", "out/packed/train.txt")]
    assert [len(report.problems) for report in reports] == [0, 0]
    assert fingerprint(files) == fingerprint(shards)
    again = run(folder, TOOL, "out/packed/train.txt", "--output", "again", "--shard-size", "3")
    assert again.returncode == 0
    for name in ("shard-0001.tar", "shard-0002.tar", "train.txt"):
        assert (folder / "again" / name).read_bytes() == (folder / "out/packed" / name).read_bytes()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("gone.png", "train.txt:2: {}/gone.png: expected an image; there is no such file"),
        ("c.jpg 1,2,3", "train.txt:2: expected xmin,ymin,xmax,ymax,label; received '1,2,3'"),
    ],
)
def test_bad_lines_and_images_are_one_error_and_nothing_is_written(folder, line, message):
    (folder / "train.txt").write_text(f"d.bmp\n{line}\n")
    result = run(folder, TOOL, "train.txt", "--output", "packed")
    assert result.returncode == 2 and not (folder / "packed").exists()
    assert result.stderr == f"error: {message.format(folder)}\n"


def test_a_folder_with_files_is_refused(folder):
    result = run(folder, TOOL, "train.txt", "--output", ".")
    assert result.returncode == 2 and result.stderr == "error: .: this folder is not empty\n"


def test_an_annotation_file_named_as_a_shard_is_refused_and_kept(folder):
    before = (folder / "train.txt").read_bytes()
    (folder / "shard-0001.tar").write_bytes(before)
    result = run(folder, TOOL, "shard-0001.tar", "--output", "packed")
    assert result.returncode == 2 and not (folder / "packed").exists()
    message = "an annotation file named as shards are; give it another"
    assert result.stderr == f"error: shard-0001.tar: {message}\n"
    assert (folder / "shard-0001.tar").read_bytes() == before
