"""Reading and writing images."""

import io
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from yolov3.images import (
    FORMATS,
    ImageFileError,
    read_image,
    read_image_size,
    write_image,
)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_a_written_image_reads_back_in_rgb(tmp_path):
    image = noise(5, 7)
    path = tmp_path / "new folder" / "größe 1.png"
    write_image(path, image)
    np.testing.assert_array_equal(read_image(path), image)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image)


@pytest.mark.parametrize(
    ("name", "size_hw"),
    [
        ("image", (3, 3)),
        ("image.xyz", (3, 3)),
        ("a.pgm", (5, 7)),
        ("wide.jpg", (1, 70_000)),
        ("small.jp2", (1, 1)),
    ],
)
def test_a_name_without_a_fitting_format_is_refused(tmp_path, capfd, name, size_hw):
    height, width = size_hw
    message = f"{name}: expected an image's name .* holds {width}x{height} pixels in colour"
    with pytest.raises(ValueError, match=message):
        write_image(tmp_path / "folder" / name, noise(height, width))
    assert not any(tmp_path.iterdir())
    assert capfd.readouterr().err == ""  # OpenCV keeps quiet


def smooth(height, width):
    """Return an image that compression changes little."""
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([rows * 255 // height, columns * 255 // width, (rows + columns) // 2 % 256])


@pytest.mark.parametrize(
    ("mode", "name", "tolerance"),
    [
        ("CMYK", "a.jpg", 6),
        ("CMYK", "a.tif", 1),
        ("L", "a.png", 0),
        ("LA", "a.png", 0),
        ("RGBA", "a.png", 0),
        ("1", "a.png", 0),
        ("P", "a.png", 0),
        ("P", "a.gif", 0),
        ("RGBA", "a.tif", 0),
        ("RGBA", "a.webp", 6),
        ("RGB", "a.jp2", 1),
    ],
)
def test_kinds_of_images_look_as_they_do_in_pillow(tmp_path, mode, name, tolerance):
    saved = Image.fromarray(smooth(40, 60).astype(np.uint8)).convert(mode)
    saved.save(tmp_path / name)
    expected = np.asarray(Image.open(tmp_path / name).convert("RGB"))
    image = read_image(tmp_path / name)
    assert image.dtype == np.uint8 and image.shape == (40, 60, 3)
    assert abs(image.astype(int) - expected).max() <= tolerance
    assert expected.std() > 20


@pytest.mark.parametrize("name", ["grey.png", "rgb.png", "rgba.png", "rgb.tif", "rgba.tif"])
def test_sixteen_bits_become_eight(tmp_path, name):
    rgb = smooth(40, 60).astype(np.uint8)
    if name == "grey.png":
        rgb[:] = rgb[..., :1]
    deep_bgr = {
        "grey": rgb[..., 0],
        "rgb": rgb[..., ::-1],
        "rgba": np.dstack([rgb[..., ::-1], rgb[..., 0]]),
    }[name[:-4]].astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / name), deep_bgr)
    assert abs(read_image(tmp_path / name).astype(int) - rgb).max() <= 1


# Of these compressions. Pillow 12.3 crashes when it is asked to write others.
MODES_OF_TIFF = {"jpeg": ["L", "RGB", "RGBA", "CMYK", "YCbCr"], "group4": ["1"]}
UNREADABLE = "YCbCr TIFF"  # for Pillow 12.3, which writes it


def odd_files():
    """Return files of every mode in every format and compression of TIFF, and rarer ones, by name.

    Few programs write them; what is in them is as `smooth` has it, as far as the mode allows.
    """
    rgb = smooth(40, 60).astype(np.uint8)
    grey = rgb[..., 0]
    arrays = [grey.astype(np.int32) << 16, np.float32(grey / 255), grey.astype(np.uint16) * 257]
    images = [Image.fromarray(rgb).convert(mode) for mode in "1 L LA P RGB RGBA CMYK YCbCr".split()]
    files = {}
    for image in [*images, *map(Image.fromarray, arrays)]:
        for kind in FORMATS:
            files[f"{image.mode} {kind}"] = encoded(image, kind)
        for compression in "tiff_lzw tiff_adobe_deflate packbits jpeg group4 zstd lzma".split():
            if image.mode in MODES_OF_TIFF.get(compression, [image.mode]):
                files[f"{image.mode} {compression}"] = encoded(
                    image, "TIFF", compression=compression
                )
        files[f"{image.mode} j2k"] = encoded(image, "JPEG2000", no_jp2=True)
    for largest in (1, 100, 254, 255, 1023, 65535):
        numbers = np.round(rgb / 255 * largest).astype("u1" if largest < 256 else ">u2")
        for magic, channels in (("5", numbers[..., 0]), ("6", numbers)):
            header = f"P{magic} 60 40 {largest}\n".encode()
            files[f"P{magic} of {largest}"] = header + channels.tobytes()
    for dtype in ("u1", "u2", "u4", "i1", "i2", "i4", "f4"):
        scale = 1 / 255 if dtype == "f4" else 256 ** (int(dtype[1]) - 1) / (1 + (dtype[0] == "i"))
        files[f"tiled TIFF {dtype}"] = tiled_tiff((grey * scale).astype("<" + dtype))
    jpeg = encoded(images[4], "JPEG")
    start = jpeg.index(b"\xff\xc0") + 1
    for frame in (0xC1, 0xC3, 0xC5, 0xC9, 0xCA, 0xCB):  # extended, lossless, arithmetic and so on
        files[f"JPEG {frame:x}"] = jpeg[:start] + bytes([frame]) + jpeg[start + 1 :]
    files["JPEG 12 bits"] = jpeg[: start + 3] + b"\x0c" + jpeg[start + 4 :]
    bmp = struct.pack("<2sIHHIIHHHH", b"BM", 26 + 7200, 0, 0, 26, 12, 60, 40, 1, 24)
    files["BMP of OS/2"] = bmp + rgb[::-1, :, ::-1].tobytes()
    for kind in ("BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000", "AVIF"):
        files[f"{kind} cut off"] = encoded(images[4], kind)[:-50]
    return {name: data for name, data in files.items() if data and name != UNREADABLE}


def encoded(image, kind, **options):
    """Return an image file, or nothing where Pillow does not write it."""
    stream = io.BytesIO()
    try:
        image.save(stream, kind, **options)
    except (OSError, ValueError, KeyError, RuntimeError):
        return b""
    return stream.getvalue()


def tiled_tiff(grey):
    """Return a TIFF of one channel (H, W) in tiles of 32 x 32, which Pillow does not write."""
    (height, width), item = grey.shape, grey.dtype
    padded = np.zeros((-(-height // 32) * 32, -(-width // 32) * 32), item)
    padded[:height, :width] = grey
    tiles = padded.reshape(len(padded) // 32, 32, -1, 32).swapaxes(1, 2).reshape(-1, 32, 32)
    size, count = 32 * 32 * item.itemsize, len(tiles)
    kind = {"u": 1, "i": 2, "f": 3}[item.kind]
    tags = [(256, width), (257, height), (258, 8 * item.itemsize), (259, 1), (262, 1), (277, 1)]
    tags += [(322, 32), (323, 32), (324, 8), (325, 8 + 4 * count), (339, kind)]
    at = 8 + 8 * count + tiles.nbytes
    lists = struct.pack(
        f"<{2 * count}I", *(8 + 8 * count + size * i for i in range(count)), *[size] * count
    )
    entries = [
        struct.pack("<HHII", tag, 4, count if tag in (324, 325) else 1, value)
        for tag, value in tags
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(entries) + bytes(4)
    return struct.pack("<2sHI", b"II", 42, at) + lists + tiles.tobytes() + directory


REFUSED = ("I ", "F ", "tiled TIFF u4", "tiled TIFF i", "tiled TIFF f")  # no known brightness


def judge(path, name):
    """Say what is wrong with how an odd file is checked and read; "" if nothing is."""
    is_sound = name.split()[0] in ("1", "L", "P", "RGB", "RGBA", "P5", "P6", "BMP")
    try:
        size_wh = read_image_size(path)
    except ImageFileError as error:
        with pytest.raises(ImageFileError) as again:
            read_image(path)
        if again.value.reason != error.reason:
            return f"refused as {error.reason}, then as {again.value.reason}"
        return f"refused: {error.reason}" if is_sound and "cut off" not in name else ""
    if size_wh != (60, 40) or "cut off" in name or ("TIFF" in name and name.startswith(REFUSED)):
        return f"accepted as {size_wh}"
    with Image.open(path) as image:
        grey = np.array(image) // 257 if image.mode[0] == "I" else None
        expected = np.array(image.convert("RGB")) if grey is None else np.dstack([grey] * 3)
    difference = abs(read_image(path).astype(int) - expected).mean()
    return f"differs by {difference:.1f}" if difference > 10 else ""


def test_what_the_check_accepts_is_decoded_as_pillow_does_and_nothing_else(tmp_path, capfd):
    files, faults = odd_files(), {}
    capfd.readouterr()  # what the writers printed
    for name, data in files.items():
        (tmp_path / "x").write_bytes(data)
        faults[name] = judge(tmp_path / "x", name)
    assert len(faults) > 100 and {name: fault for name, fault in faults.items() if fault} == {}
    assert capfd.readouterr().err == ""


def test_libraries_in_many_threads_print_nothing_and_python_does(tmp_path, capfd):
    image = Image.fromarray(noise(40, 60))
    jpeg, png = encoded(image, "JPEG"), encoded(image, "PNG", icc_profile=b"no profile")
    (tmp_path / "a").write_bytes(jpeg[:-2] + b"\1" * 99 + jpeg[-2:])
    (tmp_path / "b").write_bytes(png)
    for name in ("a", "b"):
        cv2.imdecode(np.fromfile(tmp_path / name, np.uint8), cv2.IMREAD_COLOR)
    loud = capfd.readouterr().err
    assert "extraneous bytes" in loud and "libpng warning" in loud
    with ThreadPoolExecutor(8) as pool:
        for shape in pool.map(lambda i: read_image(tmp_path / "ab"[i % 2]).shape, range(200)):
            assert shape == (40, 60, 3)
        print("heard", file=sys.stderr)
    assert capfd.readouterr().err == "heard\n"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_all_orientations_of_exif_are_those_of_pillow(tmp_path, suffix, orientation):
    path = tmp_path / f"a{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {".jpg": {"quality": 95}, ".webp": {"lossless": True}}.get(suffix, {})
    Image.fromarray(smooth(40, 60).astype(np.uint8)).save(path, exif=exif, **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    image = read_image(path)
    assert image.shape == expected.shape and read_image_size(path) == image.shape[1::-1]
    assert abs(image.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("size_wh", [(1, 1), (20_000, 2), (2, 20_000)])
def test_very_small_and_very_long_images(tmp_path, size_wh):
    image = noise(*size_wh[::-1])
    for name in ("a.png", "a.jpg"):
        write_image(tmp_path / name, image)
        assert read_image(tmp_path / name).shape == image.shape
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)
