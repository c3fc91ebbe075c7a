"""Image files, complete and hostile: an image or one line of error, in bounded memory."""

import io
import os
import pickle

import numpy as np
import pytest
from image_files import (
    SIZE_WH,
    check_image_file,
    encode,
    png_bomb,
    png_chunk,
    sample_images,
    with_size,
)
from PIL import Image

from tests.torture.mutants import mutate
from yolov3 import images
from yolov3.images import (
    MAX_PIXELS,
    MISSING,
    UNREADABLE,
    ImageFileError,
    read_header,
    read_image,
    read_image_size,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of odd TIFF tags
SAMPLES = sample_images()
MUTATIONS_PER_KIND = 20


def assert_refused(path, reason, kind=UNREADABLE):
    """Check that header and pixels are refused for the same reason, in a line with the path."""
    for read in (read_image_size, read_image):
        with pytest.raises(ImageFileError) as error:
            read(path)
        assert (error.value.kind, error.value.reason) == (kind, reason)
        assert str(error.value).startswith(f"{path}: expected an image; ")


def exif_of(orientation):
    exif = Image.Exif()
    exif[images.ORIENTATION] = orientation
    return exif


# Complete files


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_format_is_read_whatever_its_name_says(tmp_path, kind):
    for name in ("x.png", "x.jpg", "x"):
        (tmp_path / name).write_bytes(SAMPLES[kind])
        assert read_image_size(tmp_path / name) == SIZE_WH
        assert read_image(tmp_path / name).shape == (*SIZE_WH[::-1], 3)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_images_in_a_file_the_first_counts(tmp_path, kind):
    (tmp_path / "many").write_bytes(SAMPLES[f"{kind} of three"])
    expected = Image.open(io.BytesIO(SAMPLES[f"{kind} of three"])).convert("RGB")
    difference = read_image(tmp_path / "many").astype(int) - np.asarray(expected)
    assert abs(difference).max() <= 8  # two decoders of WebP round differently


def odd_orientations():
    """Return files whose orientation is in an odd place, and the size that they have upright."""
    image, other = Image.new("RGB", (60, 40)), Image.new("RGB", (60, 40), "red")
    png, turn = encode(image, "PNG"), png_chunk(b"eXIf", exif_of(6).tobytes()[6:])
    several = {"save_all": True, "append_images": [other], "exif": exif_of(6)}
    return {
        "animated PNG": (encode(image, "PNG", **several), (40, 60)),
        "animated WEBP": (encode(image, "WEBP", **several), (40, 60)),
        "JPEG of two": (encode(image, "MPO", **several), (40, 60)),
        "PNG, behind the pixels": (png[:-12] + turn + png[-12:], (60, 40)),
        "no such orientation": (encode(image, "JPEG", exif=exif_of(77)), (60, 40)),
        "broken EXIF": (encode(image, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"), (60, 40)),
    }


@pytest.mark.parametrize("kind", odd_orientations())
def test_header_and_pixels_agree_on_the_orientation(tmp_path, kind):
    data, size_wh = odd_orientations()[kind]
    (tmp_path / "x").write_bytes(data)
    assert read_image_size(tmp_path / "x") == size_wh == read_image(tmp_path / "x").shape[1::-1]


# Bombs


@pytest.mark.parametrize("width, height", [(100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_a_header_of_too_many_pixels_is_refused(tmp_path, width, height):
    (tmp_path / "bomb.png").write_bytes(png_bomb(width, height))
    reason = f"{width:,} x {height:,} pixels, more than 400,000,000 in all"
    assert_refused(tmp_path / "bomb.png", reason)


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "PPM", "GIF", "TIFF"])
def test_so_it_is_in_other_formats(tmp_path, kind):
    (tmp_path / "bomb").write_bytes(with_size(SAMPLES[kind], kind, 30_000, 30_000))
    assert_refused(tmp_path / "bomb", "30,000 x 30,000 pixels, more than 400,000,000 in all")


def test_a_small_file_that_would_inflate_to_gigabytes_is_not_inflated(tmp_path):
    bomb = png_bomb(30_000, 30_000, bytes(30_000 * 3_751))  # right in all: 2.7 GB as RGB
    assert len(bomb) < 120_000
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(ImageFileError, match="30,000 x 30,000 pixels"):
        read_image(tmp_path / "bomb.png")


def test_the_largest_image_passes_and_one_more_row_does_not():
    before = Image.MAX_IMAGE_PIXELS
    assert MAX_PIXELS == 20_000 * 20_000
    largest = io.BytesIO(png_bomb(20_000, 20_000))  # past twice the limit of Pillow
    assert read_header(largest, "x").size_wh == (20_000, 20_000)
    with pytest.raises(ImageFileError, match="20,000 x 20,001 pixels"):
        read_header(io.BytesIO(png_bomb(20_000, 20_001)), "x")
    with pytest.raises(ImageFileError, match="x: .* 48 x 32 pixels, more than 1,535"):
        read_header(io.BytesIO(SAMPLES["PNG"]), "x", max_pixels=48 * 32 - 1)
    assert Image.MAX_IMAGE_PIXELS == before  # it is one for the whole process


def test_a_file_of_terabytes_is_not_read(tmp_path):
    with open(tmp_path / "x.png", "wb") as stream:
        stream.write(SAMPLES["PNG"])
        stream.truncate(2**40)
    assert_refused(tmp_path / "x.png", f"a file of {2**40:,} bytes, more than 2,147,483,647")


# Files that are cut off


@pytest.mark.parametrize("kind", ["JPEG", "progressive JPEG", "PNG", "palette PNG"])
@pytest.mark.parametrize("missing", [1, 2, 13, 200])
def test_an_image_that_is_cut_off_is_found_without_decoding(tmp_path, kind, missing):
    (tmp_path / "x").write_bytes(SAMPLES[kind][:-missing])
    assert_refused(tmp_path / "x", "cut off before its end")


@pytest.mark.parametrize("kind", SAMPLES)
def test_no_format_gives_half_an_image(tmp_path, kind):
    (tmp_path / "x").write_bytes(SAMPLES[kind][: len(SAMPLES[kind]) // 4])
    with pytest.raises(ValueError, match="x: expected an image; received"):
        read_image(tmp_path / "x")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_a_program_appended_does_no_harm(tmp_path, kind, monkeypatch):
    (tmp_path / "x").write_bytes(SAMPLES[kind] + bytes(5_000))
    assert read_image_size(tmp_path / "x") == SIZE_WH
    monkeypatch.setattr(images, "CHUNK_BYTES", 3)  # the mark spans chunks
    assert read_image_size(tmp_path / "x") == SIZE_WH
    assert read_image(tmp_path / "x").shape == (*SIZE_WH[::-1], 3)


def test_the_end_of_a_thumbnail_is_not_that_of_the_image(tmp_path):
    thumbnail = encode(Image.new("RGB", (8, 8)), "JPEG")
    data = encode(Image.new("RGB", (99, 99)), "JPEG", exif=b"Exif\0\0" + thumbnail)
    assert data.count(b"\xff\xd9") == 2
    (tmp_path / "x.jpg").write_bytes(data[:-2])
    assert_refused(tmp_path / "x.jpg", "cut off before its end")


# Files that are no images


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "an empty file"),
        (b"P", "not a known image format"),
        (b"no image", "not a known image format"),
        (bytes(1000), "not a known image format"),
        (b"\x89PNG\r\n\x1a\n", "a broken PNG header"),
        (SAMPLES["JPEG"][:20], "a broken JPEG header"),
    ],
)
def test_other_content_is_refused_with_the_reason(tmp_path, data, reason):
    (tmp_path / "x.png").write_bytes(data)
    assert_refused(tmp_path / "x.png", reason)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_devices_and_folders_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "folder.png").mkdir()
    for name, reason in {
        "pipe.png": "not a regular file",
        "zero.png": "not a regular file",
        "loop.png": "Too many levels of symbolic links",
        "folder.png": "a folder",
    }.items():
        assert_refused(tmp_path / name, reason)
    assert_refused(tmp_path / "none.png", "no such file", MISSING)


def test_errors_pass_from_process_to_process():
    error = pickle.loads(pickle.dumps(ImageFileError("x", MISSING, "no such file")))
    assert str(error) == "x: expected an image; there is no such file"


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_damaged_file_is_an_image_or_the_documented_error(tmp_path, kind):
    rng = np.random.default_rng(list(SAMPLES).index(kind))
    (tmp_path / "whole").write_bytes(SAMPLES[kind])
    assert check_image_file(tmp_path / "whole")
    for _ in range(MUTATIONS_PER_KIND):
        (tmp_path / "damaged").write_bytes(mutate(SAMPLES[kind], rng))
        check_image_file(tmp_path / "damaged")
