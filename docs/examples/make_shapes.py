"""Make three small data sets, as three labelling tools would leave them.

    python docs/examples/make_shapes.py

Draws circles, rectangles and triangles on noisy backgrounds, 120 images for each tool:

    shapes/labelimg   Pascal VOC as LabelImg writes it: an XML file beside each image
    shapes/cvat       COCO as CVAT exports it: a JSON file, and the images in images/default
    shapes/roboflow   YOLO as Roboflow exports it: data.yaml; train, valid and test

Like real data they have faults. Of labelimg one image is missing, and one box has its corners
swapped. In cvat the circle is a Circle, and one image is one of labelimg as well.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

NAMES = ("circle", "rectangle", "triangle")
CELL, COLUMNS, ROWS = 80, 4, 3  # a shape stays in its cell, so none hides another
WIDTH, HEIGHT = COLUMNS * CELL, ROWS * CELL  # pixels
SHAPE_RANGE = (24, 78)  # pixels, width and height
SHAPES_RANGE = (1, 7)  # per image

VOC = """<annotation>
  <folder>{folder}</folder>
  <filename>{name}</filename>
  <path>/home/you/{folder}/{name}</path>
  <source><database>Unknown</database></source>
  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>
{objects}
</annotation>
"""
OBJECT = """  <object>
    <name>{}</name>
    <bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>
  </object>"""
DATA_YAML = """train: ../train/images
val: ../valid/images
test: ../test/images
nc: 3
names: ['circle', 'rectangle', 'triangle']
"""


def main() -> None:
    """Write the three data sets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("shapes"), help="default: shapes")
    parser.add_argument("--images", type=int, default=120, help="for each tool, default: 120")
    args = parser.parse_args()
    labelimg, cvat, roboflow = (args.output / name for name in ("labelimg", "cvat", "roboflow"))
    rng = np.random.default_rng(0)
    annotated = draw_images(labelimg, args.images, rng)
    write_voc(annotated)
    write_coco(cvat, [annotated[-1], *draw_images(cvat / "images/default", args.images, rng)])
    for split, share in (("train", 0.7), ("valid", 0.2), ("test", 0.1)):
        write_yolo(draw_images(roboflow / split / "images", round(args.images * share), rng))
    (roboflow / "data.yaml").write_text(DATA_YAML)
    print(f"wrote labelimg, cvat and roboflow to {args.output}, {args.images} images each")


def draw_images(folder: Path, count: int, rng: np.random.Generator) -> list[tuple]:
    """Draw images; return the path of each, and its objects as (class, left, top, right, bottom).

    The corners are edges: 0, 0, 320, 240 is all of the image.
    """
    folder.mkdir(parents=True, exist_ok=True)
    annotated = []
    for number in range(1, count + 1):
        noise = rng.integers(0, 60, (HEIGHT, WIDTH, 1)) + rng.integers(40, 190, 3)
        image = Image.fromarray(noise.astype(np.uint8))
        objects = []
        for cell in rng.permutation(COLUMNS * ROWS)[: rng.integers(*SHAPES_RANGE, endpoint=True)]:
            size = rng.integers(*SHAPE_RANGE, 2, endpoint=True)
            left_top = np.array([cell % COLUMNS, cell // COLUMNS]) * CELL
            left_top = left_top + rng.integers(0, CELL - size, endpoint=True)
            label, colour = int(rng.integers(len(NAMES))), tuple(rng.integers(0, 256, 3).tolist())
            objects.append((label, *left_top.tolist(), *(left_top + size).tolist()))
            draw_shape(ImageDraw.Draw(image), *objects[-1], colour)
        path = folder / f"{number:04d}.png"
        image.save(path, compress_level=1)  # noise: a higher level takes longer, saves nothing
        annotated.append((path, objects))
    return annotated


def draw_shape(canvas: ImageDraw.ImageDraw, label: int, left, top, right, bottom, colour) -> None:
    """Draw a shape that fills a box, with a dark outline."""
    right, bottom = right - 1, bottom - 1  # the last pixels
    look = {"fill": colour, "outline": "black"}
    if NAMES[label] == "circle":
        canvas.ellipse((left, top, right, bottom), **look)
    elif NAMES[label] == "rectangle":
        canvas.rectangle((left, top, right, bottom), **look)
    else:
        canvas.polygon([(left, bottom), ((left + right) / 2, top), (right, bottom)], **look)


def write_voc(annotated: list[tuple]) -> None:
    """Write an XML file beside each image; lose the first image, swap corners in the second."""
    for number, (path, objects) in enumerate(annotated):
        rows = [[NAMES[label], *(max(1, edge) for edge in box)] for label, *box in objects]
        if number == 1:
            rows[0][1:] = rows[0][3:] + rows[0][1:3]
        text = "\n".join(OBJECT.format(*row) for row in rows)
        place = {"folder": path.parent.name, "name": path.name, "width": WIDTH, "height": HEIGHT}
        path.with_suffix(".xml").write_text(VOC.format(**place, objects=text))
    annotated[0][0].unlink()


def write_coco(folder: Path, annotated: list[tuple]) -> None:
    """Write a JSON file for images in images/default; copy those that are elsewhere."""
    images, annotations = [], []
    for image_id, (path, objects) in enumerate(annotated, start=1):
        name = path.name
        if not path.is_relative_to(folder):
            name = f"copy_of_{name}"
            shutil.copy(path, folder / "images/default" / name)
        images.append({"id": image_id, "file_name": name, "width": WIDTH, "height": HEIGHT})
        for label, left, top, right, bottom in objects:
            annotation = {"id": len(annotations) + 1, "image_id": image_id, "iscrowd": 0}
            annotation |= {
                "category_id": label + 1,
                "bbox": [left, top, right - left, bottom - top],
            }
            annotations.append(annotation)
    names = ["Circle", *NAMES[1:]]
    categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations/instances_default.json").write_text(json.dumps(content))


def write_yolo(annotated: list[tuple]) -> None:
    """Write a label file for each image, in the folder labels beside images."""
    for path, objects in annotated:
        file = path.parents[1] / "labels" / f"{path.stem}.txt"
        file.parent.mkdir(exist_ok=True)
        lines = []
        for label, left, top, right, bottom in objects:
            x, y = (left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT
            width, height = (right - left) / WIDTH, (bottom - top) / HEIGHT
            lines.append(f"{label} {x:.6f} {y:.6f} {width:.6f} {height:.6f}\n")
        file.write_text("".join(lines))


if __name__ == "__main__":
    main()
