"""COCO JSON: one file with `images`, `annotations` and `categories`.

A box is [x, y, width, height] in pixels from the top left. Category ids may have gaps (those of
COCO go to 90 for 80 classes); classes are numbered in the order of the ids. A crowd annotation is
one box around many objects, which no detector should learn: it is dropped.

Tools write numbers as text, and ids as either; both are read, like a box that only its outline
gives. An image with an annotation that cannot be read is left out, and a fault in the log.
"""

import json
import os
from pathlib import Path

import numpy as np

from yolov3.formats.common import (
    ConversionLog,
    check_class_name,
    is_coordinate,
    parse_number,
    read_text,
    require,
    single_annotations,
)
from yolov3.formats.data_set import DataSet, annotated_image
from yolov3.formats.image_lookup import ImageLookup

NAME_KEYS = ("file_name", "path", "coco_url")  # of an image
CROWD = {"0": False, "0.0": False, "false": False, "none": False, "": False}
CROWD |= {"1": True, "1.0": True, "true": True}


def read_coco(path: Path, images: Path | None, log: ConversionLog) -> DataSet:
    """Read a COCO file whose images are below the folder `images`, or near the file.

    Faults of images and annotations are logged. Raises ValueError naming file, element and value
    for a file that is none of COCO.
    """
    content = _load(path)
    entries, categories, annotations = (
        _elements(content, key, path) for key in ("images", "categories", "annotations")
    )
    rows, sources = _read_images(entries, path, ImageLookup(path.parent, images, log), log)
    names = _read_categories(categories, annotations, path, log)
    bad = _read_annotations(annotations, rows, names, path, log)
    good = {identity: row for identity, row in rows.items() if row and identity not in bad}
    dropped = [repr(rows[identity][0]) for identity in bad]
    log.add("dropped", "image", "with an annotation that cannot be read", dropped)
    class_names = list(dict.fromkeys(names.values()))
    place = {name: index for index, name in enumerate(class_names)}
    read = [
        annotated_image(*row, boxes, [place[name] for name in labels])
        for *row, boxes, labels in good.values()
    ]
    read = single_annotations(read, [sources[identity] for identity in good], log)
    return DataSet(read, class_names, [str(path)])


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
        content = json.loads(text, object_hook=_forget_outline)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: expected JSON; received {error.msg}") from None
    except (ValueError, RecursionError) as error:  # absurdly long numbers, deeply nested lists
        raise ValueError(f"{path}: expected COCO JSON; received {error}") from None
    hint = " (a list, as detections are saved)" * isinstance(content, list)
    expected = f"a JSON object with images, annotations and categories{hint}"
    require(isinstance(content, dict), path, expected, content)
    return content


def _forget_outline(element: dict) -> dict:
    """Free the polygons while the file is parsed: they are most of it. Keep the box they need."""
    outline = element.pop("segmentation", None)
    if isinstance(outline, list) and not element.get("bbox"):
        points = [part for part in outline if isinstance(part, list)] or [outline]
        xs, ys = (sum((part[start::2] for part in points), []) for start in (0, 1))
        if len(xs) > 2 and len(xs) == len(ys) and all(map(is_coordinate, xs + ys)):
            # A tuple, which JSON has not, tells where it comes from.
            element["bbox"] = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
    return element


def _elements(content: dict, key: str, path: Path) -> list[dict]:
    elements = content.get(key)
    require(isinstance(elements, list), path, f"a list {key!r}", elements)
    for index, element in enumerate(elements):
        require(isinstance(element, dict), f"{path}: {key}[{index}]", "an object", element)
    return elements


def _identity(value: object) -> int | str | None:
    """Return an id such that 1, 1.0 and "1" are one; None for what is no id."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str):
        return int(value) if value.isdecimal() and str(int(value)) == value else value
    return value if type(value) is int else None


def _read_images(
    entries: list[dict], path: Path, lookup: ImageLookup, log: ConversionLog
) -> tuple[dict, dict]:
    """Return rows [path, size_wh, boxes, labels] by image id, and where each is in the file.

    A row is None where the image cannot be told.
    """
    rows: dict = {}
    sources: dict = {}
    for index, entry in enumerate(entries):
        where, identity = f"{path}: images[{index}]", _identity(entry.get("id"))
        try:
            require(identity is not None, f"{where}.id", "an id", entry.get("id"))
            row = [_find_image(entry, where, lookup), _read_size(entry, where), [], []]
            is_new = identity not in rows or rows[identity] == row
            require(is_new, f"{where}.id", "an id of its own", entry["id"])
        except ValueError as error:
            log.bad(error if where in str(error) else f"{where}: {error}")
            row = None
        rows[identity], sources[identity] = row, where
    lookup.note_unused()
    return rows, sources


def _find_image(entry: dict, where: str, lookup: ImageLookup) -> str:
    """Return the path of an image: where `file_name` says, or else where it is found."""
    name = next((entry[key] for key in NAME_KEYS if entry.get(key)), entry.get("file_name"))
    require(isinstance(name, str) and name.strip() != "", f"{where}.file_name", "a text", name)
    exact = os.path.normpath(os.path.join(lookup.base, name))
    found = lookup.use(exact) or lookup.find(name)
    if not found:
        return exact
    lookup.note_other_name(name, found.path, where)
    return found.path


def _read_size(entry: dict, where: str) -> list[int]:
    """Return width and height, 0 where they are not given."""
    keys = "width", "height"
    return [int(_number(entry.get(key) or 0, f"{where}.{key}", "a number")) for key in keys]


def _read_categories(
    categories: list[dict], annotations: list[dict], path: Path, log: ConversionLog
) -> dict:
    """Return the class names by category id, in the order of the ids.

    A root, such as Roboflow's, which is over others and has no annotation, is no class.
    """
    names: dict = {}
    used = {_identity(annotation.get("category_id")) for annotation in annotations}
    parents = [category.get("supercategory") for category in categories]
    for index, category in enumerate(categories):
        where, identity = f"{path}: categories[{index}]", _identity(category.get("id"))
        require(identity is not None, f"{where}.id", "an id", category.get("id"))
        require(isinstance(category.get("name"), str), f"{where}.name", "a text", category)
        name = check_class_name(category["name"], f"{where}.name")
        is_new = names.get(identity, name) == name
        require(is_new, f"{where}.id", "an id of its own", category["id"])
        is_over_others = parents.count(name) > (category.get("supercategory") == name)
        if identity not in used and is_over_others:
            log.add("skipped", "class", "without annotation, over others", [repr(name)])
        else:
            reason = "of a name that another category has"
            log.add("merged", "class", reason, [repr(name)] * (name in names.values()))
            names[identity] = name
    return dict(sorted(names.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def _read_annotations(
    annotations: list[dict], rows: dict, names: dict, path: Path, log: ConversionLog
) -> set:
    """Add boxes and labels to the rows of their images; return the ids of images with a fault."""
    bad, crowds, crowded, strays, outlines = set(), [], set(), [], []
    for index, annotation in enumerate(annotations):
        where, identity = f"{path}: annotations[{index}]", _identity(annotation.get("image_id"))
        if identity not in rows:
            strays.append(f"{where}.image_id {annotation.get('image_id')!r}")
        elif rows[identity]:
            _, _, boxes, labels = rows[identity]
            try:
                if _is_crowd(annotation, where):
                    crowds.append(f"annotations[{index}]")
                    crowded.add(identity)
                    continue
                name = names.get(_identity(annotation.get("category_id")))
                expected = "the id of a category"
                category = annotation.get("category_id")
                require(name is not None, f"{where}.category_id", expected, category)
                boxes.append(_read_box(annotation.get("bbox"), f"{where}.bbox"))
                labels.append(name)
                outlines += [where] * isinstance(annotation["bbox"], tuple)
            except ValueError as error:
                log.bad(error)
                bad.add(identity)
    if strays and len(strays) == len(annotations):
        raise ValueError(f"{strays[0]}: expected the id of an image, as in all annotations")
    log.add("dropped", "box", "of an image that is not in the file", strays)
    log.add("dropped", "box", "of a crowd", crowds)
    log.add("kept", "image", "with a crowd that has no box", [], len(crowded - bad))
    log.add("read", "box", "as large as its outline", outlines)
    return bad


def _is_crowd(annotation: dict, where: str) -> bool:
    value = annotation.get("iscrowd")
    text = str(value).strip().lower()
    require(text in CROWD, f"{where}.iscrowd", "0 or 1", value)
    return CROWD[text]


def _read_box(box: object, where: str) -> list[float]:
    """Return a box as xyxy."""
    expected = "[x, y, width, height] as numbers"
    require(isinstance(box, list | tuple) and len(box) == 4, where, expected, box)
    x, y, width, height = (_number(value, where, expected, box) for value in box)
    return [x, y, x + width, y + height]


def _number(value: object, where: str, expected: str, shown: object = None) -> float:
    """Return a number that may be given as text."""
    if isinstance(value, str):
        return parse_number(value, where)
    require(is_coordinate(value), where, expected, value if shown is None else shown)
    return value
