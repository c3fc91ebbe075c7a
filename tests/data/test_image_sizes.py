import subprocess
import sys

import numpy as np
import pytest
from image_files import encode, png_chunk
from PIL import Image

from yolov3.data import image_file, image_sizes
from yolov3.images import read_image


def save(path, width=60, height=40, orientation=None):
    exif = Image.Exif()
    if orientation:
        exif[image_file.ORIENTATION] = orientation
    Image.new("RGB", (width, height)).save(path, exif=exif)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_sizes_are_those_that_opencv_reads(tmp_path, ending, orientation):
    cv2 = pytest.importorskip("cv2")
    path = str(tmp_path / f"x.{ending}")
    save(path, 60, 40, orientation)
    height, width = cv2.imread(path).shape[:2]
    assert image_sizes.read_size(path) == (width, height)
    assert (width > height) == (orientation < 5)


def exif_of(orientation):
    exif = Image.Exif()
    exif[image_file.ORIENTATION] = orientation
    return exif


def assert_size_as_read(path, data, size_wh):
    path.write_bytes(data)
    assert image_sizes.read_size(str(path)) == size_wh == read_image(path).shape[1::-1]


@pytest.mark.parametrize("animated", [False, True])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_image_is_turned_and_an_animation_is_not(tmp_path, kind, animated):
    image, options = Image.new("RGB", (60, 40)), {}
    if animated:
        options = {"save_all": True, "append_images": [Image.new("RGB", (60, 40), "red")]}
    data = encode(image, kind, exif=exif_of(6), **options)
    assert_size_as_read(tmp_path / "x", data, (60, 40) if animated else (40, 60))


def test_the_first_of_several_images_in_a_jpeg_is_turned(tmp_path):
    images = [Image.new("RGB", (60, 40), colour) for colour in ("red", "blue")]
    data = encode(images[0], "MPO", save_all=True, append_images=images[1:], exif=exif_of(6))
    assert_size_as_read(tmp_path / "x", data, (40, 60))


def late_exif_pngs():
    """Return PNG files with EXIF data behind the pixels, and whether those turn the image."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    image = Image.fromarray(noise)
    png, after = encode(image, "PNG"), encode(image, "PNG", exif=exif_of(1))
    turn, still = (png_chunk(b"eXIf", exif_of(n).tobytes()[6:]) for n in (6, 1))
    end, wrong_sum = png[-12:], turn[:-1] + bytes([turn[-1] ^ 1])
    animation = encode(image, "PNG", save_all=True, append_images=[image.rotate(180)])
    return {
        "late": (png[:-12] + turn + end, True),
        "late, then text": (png[:-12] + turn + png_chunk(b"tEXt", b"a\0eXIf") + end, True),
        "text, then late": (png[:-12] + png_chunk(b"tEXt", b"a\0eXIf") + turn + end, True),
        "appended": (png[:-12] + turn + end + bytes(500), True),
        "long text behind": (png[:-12] + turn + png_chunk(b"tEXt", b"a\0" * 40_000) + end, True),
        "two": (png[:-12] + still + turn + end, False),
        "early counts": (after[:-12] + turn + end, False),
        "wrong checksum": (png[:-12] + wrong_sum + end, False),
        "behind the end": (png + turn, False),
        "animation": (animation[:-12] + turn + end, False),
    }


@pytest.mark.parametrize("kind", late_exif_pngs())
def test_exif_data_behind_the_pixels_of_a_png_count(tmp_path, kind):
    data, is_turned = late_exif_pngs()[kind]
    assert_size_as_read(tmp_path / "x.png", data, (40, 60) if is_turned else (60, 40))


def test_broken_exif_data_do_not_make_an_image_unreadable(tmp_path):
    path = str(tmp_path / "x.jpg")
    Image.new("RGB", (60, 40)).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert list(image_sizes.read_sizes([path])) == [[(0, (60, 40))]]


def test_processes_find_the_same_sizes(tmp_path):
    for width in range(1, 41):
        save(tmp_path / f"ü {width}.png", width, 7)
    paths = [str(tmp_path / f"ü {1 + i % 41}.png") for i in range(1100)]  # number 41 is missing
    alone = [found for batch in image_sizes.read_sizes(paths, 1) for found in batch]
    shared = [found for batch in image_sizes.read_sizes(paths, 3) for found in batch]
    assert dict(alone)[2] == (3, 7) and dict(alone)[40][0] == "missing image"
    assert sorted(shared) == alone and len(alone) == 1100


def test_a_process_that_dies_is_an_error_of_its_own(tmp_path, monkeypatch):
    popen = subprocess.Popen
    dies = [sys.executable, "-c", "raise SystemExit(7)"]
    monkeypatch.setattr(subprocess, "Popen", lambda command, **kwargs: popen(dies, **kwargs))
    paths = ["/a name of some length.png"] * 9000  # more than a pipe takes that nobody reads
    with pytest.raises(ChildProcessError, match="reading image headers: exit 7"):
        list(image_sizes.read_sizes(paths, 2))


def test_a_check_that_is_left_early_leaves_no_process(tmp_path, monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1]
    )
    batches = image_sizes.read_sizes([str(tmp_path / "none.png")] * 3000, 2)
    next(batches)
    batches.close()
    assert len(started) == 2 and all(process.poll() is not None for process in started)
