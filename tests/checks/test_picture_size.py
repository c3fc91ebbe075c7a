import subprocess
import sys

import pytest
from PIL import Image

from yolov3.checks import picture_file, picture_size


def save(path, width=60, height=40, orientation=None):
    exif = Image.Exif()
    if orientation:
        exif[picture_file.ORIENTATION] = orientation
    Image.new("RGB", (width, height)).save(path, exif=exif)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_sizes_are_those_that_opencv_reads(tmp_path, ending, orientation):
    cv2 = pytest.importorskip("cv2")
    path = str(tmp_path / f"x.{ending}")
    save(path, 60, 40, orientation)
    height, width = cv2.imread(path).shape[:2]
    assert picture_size.read_size(path) == (width, height)
    assert (width > height) == (orientation < 5)


def test_broken_exif_data_do_not_make_a_picture_unreadable(tmp_path):
    path = str(tmp_path / "x.jpg")
    Image.new("RGB", (60, 40)).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert list(picture_size.read_sizes([path])) == [[(0, (60, 40))]]


def test_processes_find_the_same_sizes(tmp_path):
    for width in range(1, 41):
        save(tmp_path / f"ü {width}.png", width, 7)
    paths = [str(tmp_path / f"ü {1 + i % 41}.png") for i in range(1100)]  # number 41 is missing
    alone = [found for batch in picture_size.read_sizes(paths, 1) for found in batch]
    shared = [found for batch in picture_size.read_sizes(paths, 3) for found in batch]
    assert dict(alone)[2] == (3, 7) and dict(alone)[40][0] == "missing picture"
    assert sorted(shared) == alone and len(alone) == 1100


def test_a_process_that_dies_is_an_error_of_its_own(tmp_path, monkeypatch):
    popen = subprocess.Popen
    dies = [sys.executable, "-c", "raise SystemExit(7)"]
    monkeypatch.setattr(subprocess, "Popen", lambda command, **kwargs: popen(dies, **kwargs))
    paths = ["/a name of some length.png"] * 9000  # more than a pipe takes that nobody reads
    with pytest.raises(ChildProcessError, match="reading picture headers: exit 7"):
        list(picture_size.read_sizes(paths, 2))


def test_a_check_that_is_left_early_leaves_no_process(tmp_path, monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1]
    )
    batches = picture_size.read_sizes([str(tmp_path / "none.png")] * 3000, 2)
    next(batches)
    batches.close()
    assert len(started) == 2 and all(process.poll() is not None for process in started)
