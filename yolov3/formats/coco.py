"""COCO JSON: one file with `images`, `annotations` and `categories`.

A box is [x, y, width, height] in pixels from the top left. Category ids may have gaps (those of
COCO go to 90 for 80 classes); classes are numbered in the order of the ids. A crowd annotation is
one box around many objects, which no detector should learn: it is dropped.
"""

import json
import os
import reprlib
from pathlib import Path

import numpy as np

from yolov3.formats.box_table import BoxTable
from yolov3.formats.common import ConversionLog, check_class_name, is_coordinate, read_text

BOX = "[x, y, width, height] as numbers"


def read_coco(path: Path, image_folder: Path, log: ConversionLog) -> BoxTable:
    """Read a COCO file whose file names are relative to the folder `image_folder`.

    Raises ValueError naming file, element and value for what cannot be read.
    """
    content = _load(path)
    images, categories, annotations = (
        _elements(content, key, path) for key in ("images", "categories", "annotations")
    )
    row = _index_by_id(images, f"{path}: images")
    category_names = _read_categories(categories, path)  # by id, in order
    place = {category: index for index, category in enumerate(category_names)}
    image_paths, sizes_wh = _read_images(images, image_folder, path)
    crowds = [f"annotations[{i}]" for i, one in enumerate(annotations) if one.get("iscrowd")]
    log.add("dropped", "box", "of a crowd", crowds)
    image_index, classes, boxes_xywh = _read_boxes(annotations, row, place, path)
    order = np.argsort(image_index, kind="stable")
    top_left, size = boxes_xywh[:, :2], boxes_xywh[:, 2:]
    return BoxTable(
        image_paths=image_paths,
        sizes_wh=sizes_wh,
        image_index=image_index[order],
        boxes_xyxy=np.hstack([top_left, top_left + size])[order],
        classes=classes[order],
        class_names=list(category_names.values()),
        sources=[str(path)],
    )


def format_coco(table: BoxTable, folder: Path, decimals: int) -> str:
    """Write a table as JSON. File names are relative to `folder` if they are in it."""
    images, annotations = [], []
    for image_id, image in enumerate(table.images(), start=1):
        name = os.path.relpath(image.path, folder)
        if name.startswith(os.pardir):
            name = image.path
        width, height = image.size_wh
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        low, high = image.boxes_xyxy[:, :2], image.boxes_xyxy[:, 2:]
        boxes_xywh = np.hstack([low, high - low]).round(decimals).tolist()
        for box, label in zip(boxes_xywh, image.classes.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": label + 1,
                    "bbox": box,
                    "area": round(box[2] * box[3], decimals),
                    "iscrowd": 0,
                }
            )
    categories = [
        {"id": category_id, "name": name}
        for category_id, name in enumerate(table.class_names, start=1)
    ]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return json.dumps(content, ensure_ascii=False) + "\n"


def _load(path: Path) -> dict:
    text = read_text(path)
    try:
        content = json.loads(text, object_hook=_forget_outlines)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: expected JSON; received {error.msg}") from None
    except (ValueError, RecursionError) as error:  # absurdly long numbers, deeply nested lists
        raise ValueError(f"{path}: expected COCO JSON; received {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object; received {reprlib.repr(content)}")
    return content


def _forget_outlines(element: dict) -> dict:
    """Free the polygons while the file is parsed: they are most of it, and nobody needs them."""
    element.pop("segmentation", None)
    return element


def _elements(content: dict, key: str, path: Path) -> list[dict]:
    elements = content.get(key)
    if not isinstance(elements, list):
        raise ValueError(f"{path}: expected a list {key!r}; received {reprlib.repr(elements)}")
    for index, element in enumerate(elements):
        if not isinstance(element, dict):
            raise ValueError(
                f"{path}: {key}[{index}]: expected an object; received {reprlib.repr(element)}"
            )
    return elements


def _index_by_id(elements: list[dict], where: str) -> dict:
    """Return the index of each element by its id."""
    row: dict = {}
    for index, element in enumerate(elements):
        identity = element.get("id")
        if type(identity) not in (int, str) or identity in row:
            raise ValueError(
                f"{where}[{index}].id: expected an id of its own; received {reprlib.repr(identity)}"
            )
        row[identity] = index
    return row


def _read_categories(categories: list[dict], path: Path) -> dict:
    """Return the class names by category id, in the order of the ids."""
    where = f"{path}: categories"
    names: dict = {}
    for identity, index in _index_by_id(categories, where).items():
        element = f"{where}[{index}]"
        name = _string(categories[index], "name", element)
        name = check_class_name(name, f"{element}.name")
        if name in names.values():
            raise ValueError(f"{element}.name: expected a new name; received {name!r}")
        names[identity] = name
    return dict(sorted(names.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def _read_images(
    images: list[dict], image_folder: Path, path: Path
) -> tuple[list[str], np.ndarray]:
    """Return absolute paths and sizes (R, 2), 0 where they are not given."""
    folder = str(image_folder.absolute())
    paths, sizes_wh = [], np.zeros((len(images), 2), int)
    for index, image in enumerate(images):
        where = f"{path}: images[{index}]"
        name = _string(image, "file_name", where)
        paths.append(os.path.normpath(os.path.join(folder, name)))
        for column, key in enumerate(("width", "height")):
            value = image.get(key) or 0
            if not is_coordinate(value):
                raise ValueError(
                    f"{where}.{key}: expected a number; received {reprlib.repr(value)}"
                )
            sizes_wh[index, column] = value
    return paths, sizes_wh


def _read_boxes(annotations, row: dict, place: dict, path: Path):
    """Return image_index (M,), classes (M,) and boxes_xywh (M, 4) of what is not a crowd."""
    image_index, classes, boxes_xywh = [], [], []
    for index, annotation in enumerate(annotations):
        if annotation.get("iscrowd"):
            continue
        image_id, category_id = annotation.get("image_id"), annotation.get("category_id")
        where = f"{path}: annotations[{index}]"
        image_index.append(_find(image_id, row, f"{where}.image_id", "the id of an image"))
        classes.append(_find(category_id, place, f"{where}.category_id", "the id of a category"))
        box = annotation.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(map(is_coordinate, box)):
            raise ValueError(f"{where}.bbox: expected {BOX}; received {reprlib.repr(box)}")
        boxes_xywh.append(box)
    boxes_xywh = np.array(boxes_xywh, float).reshape(-1, 4)
    return np.array(image_index, int), np.array(classes, int), boxes_xywh


def _find(identity: object, index: dict, where: str, expected: str) -> int:
    if type(identity) not in (int, str) or identity not in index:
        raise ValueError(f"{where}: expected {expected}; received {reprlib.repr(identity)}")
    return index[identity]


def _string(element: dict, key: str, where: str) -> str:
    value = element.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{where}.{key}: expected a text; received {reprlib.repr(value)}")
    return value
