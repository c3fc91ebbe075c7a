"""Small images of every format that is read, and what must hold for any file."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from yolov3.images import FORMATS, ImageFileError, read_image, read_image_size

SIZE_WH = (48, 32)  # pixels of the samples


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
