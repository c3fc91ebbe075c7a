"""COCO JSON: one file with `images`, `annotations` and `categories`.

A box is [x, y, width, height] in pixels from the top left. Category ids may have gaps (those of
COCO go to 90 for 80 classes); classes are numbered in the order of the ids. A crowd annotation is
one box around many objects, which no detector should learn: it is dropped.
"""

import json
import os
from pathlib import Path

import numpy as np

from yolov3.formats.common import ConversionLog, check_class_name, is_coordinate, read_text, require
from yolov3.formats.data_set import DataSet, annotated_image


def read_coco(path: Path, images: Path | None, log: ConversionLog) -> DataSet:
    """Read a COCO file whose file names are relative to the folder `image_folder`.

    Raises ValueError naming file, element and value for what cannot be read.
    """
    image_folder = images or path.parent
    content = _load(path)
    images, categories, annotations = (
        _elements(content, key, path) for key in ("images", "categories", "annotations")
    )
    row = _index_by_id(images, f"{path}: images")
    category_names = _read_categories(categories, path)  # by id, in order
    place = {category: index for index, category in enumerate(category_names)}
    rows = _read_images(images, str(image_folder.absolute()), path)
    crowds = [f"annotations[{i}]" for i, one in enumerate(annotations) if one.get("iscrowd")]
    log.add("dropped", "box", "of a crowd", crowds)
    for index, annotation in enumerate(annotations):
        if not annotation.get("iscrowd"):
            where = f"{path}: annotations[{index}]"
            image = _find(annotation, "image_id", row, where, "the id of an image")
            label = _find(annotation, "category_id", place, where, "the id of a category")
            _, _, boxes_xyxy, classes = rows[image]
            boxes_xyxy.append(_read_box(annotation.get("bbox"), f"{where}.bbox"))
            classes.append(label)
    images = [annotated_image(*image) for image in rows]
    return DataSet(images, list(category_names.values()), [str(path)])


def format_coco(data: DataSet, folder: Path, decimals: int) -> str:
    """Write a data set as JSON. File names are relative to `folder` if they are in it."""
    images, annotations = [], []
    for image_id, image in enumerate(data.images, start=1):
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
        for category_id, name in enumerate(data.class_names, start=1)
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
    require(isinstance(content, dict), path, "a JSON object", content)
    return content


def _forget_outlines(element: dict) -> dict:
    """Free the polygons while the file is parsed: they are most of it, and nobody needs them."""
    element.pop("segmentation", None)
    return element


def _elements(content: dict, key: str, path: Path) -> list[dict]:
    elements = content.get(key)
    require(isinstance(elements, list), path, f"a list {key!r}", elements)
    for index, element in enumerate(elements):
        require(isinstance(element, dict), f"{path}: {key}[{index}]", "an object", element)
    return elements


def _index_by_id(elements: list[dict], where: str) -> dict:
    """Return the index of each element by its id."""
    row: dict = {}
    for index, element in enumerate(elements):
        identity = element.get("id")
        is_new = type(identity) in (int, str) and identity not in row
        require(is_new, f"{where}[{index}].id", "an id of its own", identity)
        row[identity] = index
    return row


def _read_categories(categories: list[dict], path: Path) -> dict:
    """Return the class names by category id, in the order of the ids."""
    names: dict = {}
    for identity, index in _index_by_id(categories, f"{path}: categories").items():
        where = f"{path}: categories[{index}]"
        name = check_class_name(_string(categories[index], "name", where), f"{where}.name")
        require(name not in names.values(), f"{where}.name", "a new name", name)
        names[identity] = name
    return dict(sorted(names.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def _read_images(images: list[dict], folder: str, path: Path) -> list[tuple]:
    """Return (absolute path, size_wh, [], []) of each, as `annotated_image` takes it."""
    rows = []
    for index, image in enumerate(images):
        where = f"{path}: images[{index}]"
        name = _string(image, "file_name", where)
        size_wh = [image.get(key) or 0 for key in ("width", "height")]  # 0 where it is not given
        for key, value in zip(("width", "height"), size_wh, strict=True):
            require(is_coordinate(value), f"{where}.{key}", "a number", value)
        path_of_image = os.path.normpath(os.path.join(folder, name))
        rows.append((path_of_image, [int(value) for value in size_wh], [], []))
    return rows


def _read_box(box: object, where: str) -> list[float]:
    """Return a box as xyxy."""
    is_box = isinstance(box, list) and len(box) == 4 and all(map(is_coordinate, box))
    require(is_box, where, "[x, y, width, height] as numbers", box)
    x, y, width, height = box
    return [x, y, x + width, y + height]


def _find(element: dict, key: str, index: dict, where: str, expected: str) -> int:
    identity = element.get(key)
    is_known = type(identity) in (int, str) and identity in index
    require(is_known, f"{where}.{key}", expected, identity)
    return index[identity]


def _string(element: dict, key: str, where: str) -> str:
    value = element.get(key)
    require(isinstance(value, str) and value != "", f"{where}.{key}", "a text", value)
    return value
