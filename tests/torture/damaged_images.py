"""Images of nine formats, damaged and read."""

import struct
import zlib
from pathlib import Path

import numpy as np

from tests.torture.mutants import NUMBERS, mutate, unless_named

FORMATS = (".png", ".jpg", ".bmp", ".gif", ".webp", ".tiff", ".ppm", ".jp2", ".avif")


class Images:
    """Damage an image in a folder and read it: `images(rng)` says what went wrong."""

    def __init__(self, folder: Path):
        import cv2

        from mnist.scenes import make_scenes
        from mnist.sklearn_digits import read_offline_digits

        images, labels, _, _ = read_offline_digits()
        [scene] = make_scenes(images, labels, 1, 112, np.random.default_rng(0))
        image = cv2.cvtColor(scene.image, cv2.COLOR_GRAY2BGR)
        image[:, :56, 0] = 99  # two colours
        self.files = {suffix: cv2.imencode(suffix, image)[1].tobytes() for suffix in FORMATS}
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def __call__(self, rng) -> str:
        from yolov3.images import ImageFileError, read_image, read_image_size

        suffix = FORMATS[rng.integers(len(FORMATS))]
        path = self.folder / f"damaged{suffix}"
        is_bomb = suffix == ".png" and rng.random() < 0.5
        path.write_bytes((_resize_png if is_bomb else mutate)(self.files[suffix], rng))
        try:
            image = read_image(path)
        except ImageFileError as error:
            return unless_named(path, error)
        size = read_image_size(path)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            return f"{suffix}: {image.dtype} {image.shape}"
        if size != image.shape[1::-1]:
            return f"{suffix}: the header says {size}, the pixels {image.shape[1::-1]}"
        return ""


def _resize_png(content, rng):
    """Claim another width, height or depth in a PNG, with a checksum that fits."""
    place = int(rng.choice([16, 20, 24]))  # of width, height, depth and colour type
    number = NUMBERS[rng.integers(len(NUMBERS))] % 2**32
    header = content[12:place] + struct.pack(">I", number) + content[place + 4 : 29]
    header = header[:17]
    return content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
