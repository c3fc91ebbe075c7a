"""Image files, complete and hostile: an image or one line of error, in bounded memory."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.torture.mutants import mutate
from yolov3.configs import REPO
from yolov3.images import (
    FORMATS,
    MISSING,
    ORIENTATION,
    UNREADABLE,
    ImageFileError,
    read_image,
    read_image_size,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of odd TIFF tags
SIZE_WH = (48, 32)  # pixels of the samples
MUTATIONS_PER_KIND = 20


def sample_images() -> dict[str, bytes]:
    """Return a whole file of each format, and some variants, by the name of the kind."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 6, 3), np.uint8))
    image = coarse.resize(SIZE_WH, Image.Resampling.BICUBIC)
    later = [image.rotate(90 * turn) for turn in (1, 2)]
    files = {kind: encode(image, kind) for kind in FORMATS}
    files["progressive JPEG"] = encode(image, "JPEG", progressive=True)
    files["palette PNG"] = encode(image.convert("P"), "PNG")
    files["LZW TIFF"] = encode(image, "TIFF", compression="tiff_lzw")
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        files[f"{kind} of three"] = encode(image, kind, save_all=True, append_images=later)
    return files


def encode(image: Image.Image, kind: str, **options) -> bytes:
    """Encode an image without the library that decodes it in the project."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_bomb(width: int, height: int) -> bytes:
    """Return a PNG without pixels that announces a size."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def png_chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG with its length and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


SAMPLES = sample_images()


def check_image_file(path: Path) -> bool:
    """Assert that a file is an image or the documented error; return whether it is an image.

    The pixels may be refused although the header is good, never the other way round.
    """
    try:
        image_rgb = read_image(path)
    except ImageFileError as error:
        assert str(error).startswith(f"{path}: expected an image; ") and "\n" not in str(error)
        return False
    assert image_rgb.dtype == np.uint8 and image_rgb.shape[2:] == (3,) and image_rgb.size
    assert image_rgb.shape[1::-1] == read_image_size(path)
    return True


def assert_refused(path, reason, kind=UNREADABLE):
    """Check that header and pixels are refused for the same reason, in a line with the path."""
    for read in (read_image_size, read_image):
        with pytest.raises(ImageFileError) as error:
            read(path)
        assert (error.value.kind, error.value.reason) == (kind, reason)
        assert str(error.value).startswith(f"{path}: expected an image; ")


def exif_of(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


# Complete files


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_format_is_read_whatever_its_name_says(tmp_path, kind):
    (tmp_path / "x.png").write_bytes(SAMPLES[kind])
    assert read_image_size(tmp_path / "x.png") == SIZE_WH
    assert read_image(tmp_path / "x.png").shape == (*SIZE_WH[::-1], 3)


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


@pytest.mark.parametrize("width, height", [(30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_a_header_of_too_many_pixels_is_refused(tmp_path, width, height):
    (tmp_path / "bomb.png").write_bytes(png_bomb(width, height))
    for read in (read_image_size, read_image):
        with pytest.raises(
            ImageFileError, match=rf"bomb.png: .*\({width * height} pixels\) exceed"
        ):
            read(tmp_path / "bomb.png")


def test_a_large_image_is_read_without_a_warning(tmp_path):
    (tmp_path / "large.png").write_bytes(png_bomb(10_000, 10_000))
    code = "import sys; from yolov3.images import read_image_size as f; print(f(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path / "large.png")]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("(10000, 10000)\n", "")


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
def test_what_a_program_appended_does_no_harm(tmp_path, kind):
    (tmp_path / "x").write_bytes(SAMPLES[kind] + bytes(5_000))
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
        (b"no image", "not a known image format, or a broken header"),
        (b"\x89PNG\r\n\x1a\n", "not a known image format, or a broken header"),
        (SAMPLES["JPEG"][:20], "not a known image format, or a broken header"),
    ],
)
def test_other_content_is_refused_with_the_reason(tmp_path, data, reason):
    (tmp_path / "x.png").write_bytes(data)
    assert_refused(tmp_path / "x.png", reason)


def test_folders_and_files_that_are_not_there_are_refused(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    assert_refused(tmp_path / "folder.png", "a folder")
    assert_refused(tmp_path / "zero.png", "not a regular file")
    assert_refused(tmp_path / "none.png", "no such file", MISSING)


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_damaged_file_is_an_image_or_the_documented_error(tmp_path, kind):
    rng = np.random.default_rng(list(SAMPLES).index(kind))
    (tmp_path / "whole").write_bytes(SAMPLES[kind])
    assert check_image_file(tmp_path / "whole")
    for _ in range(MUTATIONS_PER_KIND):
        (tmp_path / "damaged").write_bytes(mutate(SAMPLES[kind], rng))
        check_image_file(tmp_path / "damaged")
