"""Image files, whole and hostile: an image or one line of error, in bounded memory."""

import io
import os

import numpy as np
import pytest
from image_files import (
    SIZE_WH,
    check_image_file,
    encode,
    png_bomb,
    sample_images,
    with_size,
)
from PIL import Image

from tests.torture.mutants import mutate
from yolov3.data import image_file
from yolov3.data.image_file import MAX_PIXELS, MISSING, UNREADABLE, read_image_header, read_size
from yolov3.images import read_image

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of odd TIFF tags
SAMPLES = sample_images()
MUTATIONS_PER_KIND = 20


# Whole files


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_format_is_read_whatever_its_name_says(tmp_path, kind):
    for name in ("x.png", "x.jpg", "x"):
        (tmp_path / name).write_bytes(SAMPLES[kind])
        assert read_size(str(tmp_path / name)) == SIZE_WH
        assert read_image(tmp_path / name).shape == (*SIZE_WH[::-1], 3)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_images_in_a_file_the_first_counts(tmp_path, kind):
    (tmp_path / "many").write_bytes(SAMPLES[f"{kind} of three"])
    expected = Image.open(io.BytesIO(SAMPLES[f"{kind} of three"])).convert("RGB")
    difference = read_image(tmp_path / "many").astype(int) - np.asarray(expected)
    assert abs(difference).max() <= 8  # two decoders of WebP round differently


# Bombs


@pytest.mark.parametrize("width, height", [(100_000, 100_000), (2**31 - 1, 2**31 - 1)])
def test_a_header_of_too_many_pixels_is_refused(tmp_path, width, height):
    (tmp_path / "bomb.png").write_bytes(png_bomb(width, height))
    kind, reason = read_size(str(tmp_path / "bomb.png"))
    assert kind == UNREADABLE
    assert reason == f"{width:,} x {height:,} pixels, more than 400,000,000 in all"
    with pytest.raises(ValueError, match=f"bomb.png: expected an image; received {reason}"):
        read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "PPM", "GIF", "TIFF"])
def test_so_it_is_in_other_formats(tmp_path, kind):
    (tmp_path / "bomb").write_bytes(with_size(SAMPLES[kind], kind, 30_000, 30_000))
    assert "30,000 x 30,000 pixels" in read_size(str(tmp_path / "bomb"))[1]
    with pytest.raises(ValueError, match="30,000 x 30,000 pixels"):
        read_image(tmp_path / "bomb")


def test_a_small_file_that_would_inflate_to_gigabytes_is_not_inflated(tmp_path):
    bomb = png_bomb(30_000, 30_000, bytes(30_000 * 3_751))  # right in all: 2.7 GB as RGB
    assert len(bomb) < 120_000
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(ValueError, match="30,000 x 30,000 pixels"):
        read_image(tmp_path / "bomb.png")


def test_the_largest_image_passes_and_one_more_row_does_not():
    assert read_image_header(io.BytesIO(png_bomb(20_000, 20_000))) == (20_000, 20_000)
    assert MAX_PIXELS == 20_000 * 20_000
    with pytest.raises(ValueError, match="20,000 x 20,001 pixels"):
        read_image_header(io.BytesIO(png_bomb(20_000, 20_001)))
    with pytest.raises(ValueError, match="48 x 32 pixels, more than 1,535"):
        read_image_header(io.BytesIO(SAMPLES["PNG"]), max_pixels=48 * 32 - 1)


def test_the_limit_of_pillow_for_the_process_is_left_alone(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    (tmp_path / "x.png").write_bytes(png_bomb(20_000, 20_000))  # past twice that limit
    assert read_size(str(tmp_path / "x.png")) == (20_000, 20_000)
    assert Image.MAX_IMAGE_PIXELS == before


def test_a_file_of_terabytes_is_not_read(tmp_path):
    with open(tmp_path / "x.png", "wb") as stream:
        stream.write(SAMPLES["PNG"])
        stream.truncate(2**40)
    assert read_size(str(tmp_path / "x.png"))[1].startswith(f"a file of {2**40:,} bytes")
    with pytest.raises(ValueError, match="a file of 1,099"):
        read_image(tmp_path / "x.png")


# Files that are cut off


@pytest.mark.parametrize("kind", ["JPEG", "progressive JPEG", "PNG", "palette PNG"])
@pytest.mark.parametrize("missing", [1, 2, 13, 200])
def test_an_image_that_is_cut_off_is_found_without_decoding(tmp_path, kind, missing):
    (tmp_path / "x").write_bytes(SAMPLES[kind][:-missing])
    assert read_size(str(tmp_path / "x")) == (UNREADABLE, "cut off before its end")
    with pytest.raises(ValueError, match="cut off before its end"):
        read_image(tmp_path / "x")


@pytest.mark.parametrize("kind", SAMPLES)
def test_no_format_gives_half_an_image(tmp_path, kind):
    (tmp_path / "x").write_bytes(SAMPLES[kind][: len(SAMPLES[kind]) // 4])
    with pytest.raises(ValueError, match="x: expected an image; received"):
        read_image(tmp_path / "x")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_a_program_appended_does_no_harm(tmp_path, kind, monkeypatch):
    (tmp_path / "x").write_bytes(SAMPLES[kind] + bytes(5_000))
    assert read_size(str(tmp_path / "x")) == SIZE_WH
    monkeypatch.setattr(image_file, "CHUNK_BYTES", 3)  # the mark spans chunks
    assert read_size(str(tmp_path / "x")) == SIZE_WH
    assert read_image(tmp_path / "x").shape == (*SIZE_WH[::-1], 3)


def test_the_end_of_a_thumbnail_is_not_that_of_the_image(tmp_path):
    thumbnail = encode(Image.new("RGB", (8, 8)), "JPEG")
    data = encode(Image.new("RGB", (99, 99)), "JPEG", exif=b"Exif\0\0" + thumbnail)
    assert data.count(b"\xff\xd9") == 2
    (tmp_path / "x.jpg").write_bytes(data[:-2])
    assert read_size(str(tmp_path / "x.jpg")) == (UNREADABLE, "cut off before its end")


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
    assert read_size(str(tmp_path / "x.png")) == (UNREADABLE, reason)


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
        assert read_size(str(tmp_path / name)) == (UNREADABLE, reason)
        with pytest.raises(ValueError, match=f"{name}: expected an image; received {reason}"):
            read_image(tmp_path / name)
    assert read_size(str(tmp_path / "none.png")) == (MISSING, "no such file")


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_damaged_file_is_an_image_or_the_documented_error(tmp_path, kind):
    rng = np.random.default_rng(list(SAMPLES).index(kind))
    (tmp_path / "whole").write_bytes(SAMPLES[kind])
    assert check_image_file(tmp_path / "whole")
    for _ in range(MUTATIONS_PER_KIND):
        (tmp_path / "damaged").write_bytes(mutate(SAMPLES[kind], rng))
        check_image_file(tmp_path / "damaged")
