"""Make a small data set as a labelling tool would leave it: images and Pascal VOC files.

    python docs/examples/make_shapes.py

Draws circles, rectangles and triangles on noisy backgrounds into shapes/train and shapes/test. Like
real data it has faults: one image is missing, and one box has its corners swapped.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

NAMES = ("circle", "rectangle", "triangle")
CELL, COLUMNS, ROWS = 80, 4, 3  # a shape stays in its cell, so none hides another
SHAPE_RANGE = (24, 78)  # pixels, width and height
SHAPES_RANGE = (1, 7)  # per image

FILE = """<annotation>
  <folder>{folder}</folder>
  <filename>{name}</filename>
  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>
{objects}
</annotation>
"""
OBJECT = """  <object>
    <name>{}</name>
    <bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>
  </object>"""


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("shapes"), help="default: shapes")
    parser.add_argument("--train", type=int, default=300, help="images, default: 300")
    parser.add_argument("--test", type=int, default=60, help="images, default: 60")
    return parser.parse_args()


def main() -> None:
    """Write both splits."""
    args = parse_args()
    for seed, (split, count) in enumerate((("train", args.train), ("test", args.test))):
        folder = args.output / split
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        for number in range(1, count + 1):
            write_image(folder / f"{number:04d}.png", rng)
    add_faults(args.output / "train")
    print(f"wrote {args.train} images to {args.output}/train and {args.test} to test")


def write_image(path: Path, rng: np.random.Generator) -> None:
    """Draw an image and write it with the VOC file of its shapes."""
    width, height = COLUMNS * CELL, ROWS * CELL
    noise = rng.integers(0, 60, (height, width, 1)) + rng.integers(40, 190, 3)
    image = Image.fromarray(noise.astype(np.uint8))
    canvas = ImageDraw.Draw(image)
    objects = []
    for cell in rng.permutation(COLUMNS * ROWS)[: rng.integers(*SHAPES_RANGE, endpoint=True)]:
        size = rng.integers(*SHAPE_RANGE, 2, endpoint=True)
        left_top = np.array([cell % COLUMNS, cell // COLUMNS]) * CELL
        left_top = left_top + rng.integers(0, CELL - size, endpoint=True)
        first_and_last = [*left_top.tolist(), *(left_top + size - 1).tolist()]  # pixels, from 0
        label = int(rng.integers(len(NAMES)))
        draw_shape(canvas, NAMES[label], first_and_last, tuple(rng.integers(0, 256, 3).tolist()))
        objects.append(OBJECT.format(NAMES[label], *(pixel + 1 for pixel in first_and_last)))
    image.save(path, compress_level=1)  # noise: a higher level takes longer and saves nothing
    content = dict(folder=path.parent.name, name=path.name, width=width, height=height)
    text = FILE.format(**content, objects="\n".join(objects))
    path.with_suffix(".xml").write_text(text, encoding="utf-8")


def draw_shape(canvas: ImageDraw.ImageDraw, name: str, first_and_last: list, colour) -> None:
    """Draw a shape that fills the pixels left, top, right, bottom, with a dark outline."""
    left, top, right, bottom = first_and_last
    if name == "circle":
        canvas.ellipse(first_and_last, fill=colour, outline="black")
    elif name == "rectangle":
        canvas.rectangle(first_and_last, fill=colour, outline="black")
    else:
        corners = [(left, bottom), ((left + right) / 2, top), (right, bottom)]
        canvas.polygon(corners, fill=colour, outline="black")


def add_faults(folder: Path) -> None:
    """Lose the first image, and swap the corners of the first box of the second."""
    (folder / "0001.png").unlink()
    file = folder / "0002.xml"
    text = file.read_text(encoding="utf-8")
    for one, other in (("xmin", "xmax"), ("ymin", "ymax")):
        for brackets in ("<{}>", "</{}>"):
            one_tag, other_tag = brackets.format(one), brackets.format(other)
            text = text.replace(one_tag, "#", 1).replace(other_tag, one_tag, 1)
            text = text.replace("#", other_tag, 1)
    file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
