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
from typing import NamedTuple

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


class Entry(NamedTuple):
    """One of the `images`, with what the annotations say of it."""

    name: str
    path: str  # of the image, absolute
    size_wh: tuple[int, int]  # pixels, 0 where it is not given
    boxes: list[tuple]  # (xmin, ymin, xmax, ymax, class name) each
    where: str  # it is in the file


def read_coco(path: Path, images: Path | None, log: ConversionLog) -> DataSet:
    """Read a COCO file whose images are below the folder `images`, or near the file.

    Faults of images and annotations are logged. Raises ValueError naming file, element and value
    for a file that is none of COCO.
    """
    content = _load(path)
    images_, categories, annotations = (
        _elements(content, key, path) for key in ("images", "categories", "annotations")
    )
    lookup = ImageLookup(path.parent, images, log, part=path.stem.lower().split("_")[-1])
    entries = _read_images(images_, path, lookup, log)
    names = _read_categories(categories, annotations, path, log)
    bad = _read_annotations(annotations, entries, names, path, log)
    log.add(
        "dropped", "image", "with an annotation that cannot be read", list(map(repr, sorted(bad)))
    )
    good = _merge([one for one in entries.values() if one and one.path not in bad], log)
    class_names = list(dict.fromkeys(names.values()))
    place = {name: index for index, name in enumerate(class_names)}
    read = []
    for one in good:
        labels = [place[box[4]] for box in one.boxes]
        read.append(annotated_image(one.path, one.size_wh, [box[:4] for box in one.boxes], labels))
    read = single_annotations(read, [one.where for one in good], log)
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
    outline, box = element.pop("segmentation", None), element.get("bbox")
    if isinstance(outline, list) and (not box or box == [0, 0, 0, 0]):
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
        is_number = value.isdecimal() and len(value) < 20 and str(int(value)) == value
        return int(value) if is_number else value
    return value if type(value) is int else None


def _read_images(
    images: list[dict], path: Path, lookup: ImageLookup, log: ConversionLog
) -> dict[int | str | None, Entry | None]:
    """Return the entries by their ids; None where the image cannot be told."""
    entries: dict[int | str | None, Entry | None] = {}
    for index, image in enumerate(images):
        where, identity = f"{path}: images[{index}]", _identity(image.get("id"))
        try:
            require(identity is not None, f"{where}.id", "an id", image.get("id"))
            name = next(filter(None, map(image.get, NAME_KEYS)), None)
            require(isinstance(name, str), f"{where}.file_name", "a text", name)
            size_wh = tuple(
                int(_number(image.get(key) or 0, f"{where}.{key}", "a number"))
                for key in ("width", "height")
            )
            entry = Entry(name, lookup.locate(name, where), size_wh, [], where)
            known = entries.get(identity, entry)
            is_new = known and known[:3] == entry[:3]
            require(is_new, f"{where}.id", "an id of its own", image["id"])
        except ValueError as error:
            log.bad(error)
            entry = None
        entries[identity] = entry
    lookup.note_unused()
    return entries


def _merge(entries: list[Entry], log: ConversionLog) -> list[Entry]:
    """Return the entries, those of one name and size as one with the boxes of all."""
    merged: dict[tuple, Entry] = {}
    for entry in entries:
        first = merged.setdefault((entry.name, entry.size_wh), entry)
        if first is not entry:
            first.boxes.extend([box for box in entry.boxes if box not in first.boxes])
            log.add("merged", "image", "that the file lists twice", [entry.where])
    return list(merged.values())


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
        name = category.get("name")
        name = str(name) if type(name) is int else name  # classes may be called 1, 2, 3
        require(isinstance(name, str), f"{where}.name", "a text", name)
        name = check_class_name(name, f"{where}.name")
        is_new = names.get(identity, name) == name
        require(is_new, f"{where}.id", "an id of its own", category["id"])
        is_over_others = parents.count(name) > (category.get("supercategory") == name)
        if identity not in used and is_over_others:
            log.add("skipped", "class", "the root of others, without annotation", [repr(name)])
        else:
            reason = "of a name that another category has"
            log.add("merged", "class", reason, [repr(name)] * (name in names.values()))
            names[identity] = name
    return dict(sorted(names.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def _read_annotations(
    annotations: list[dict], entries: dict, names: dict, path: Path, log: ConversionLog
) -> set[str]:
    """Add the boxes to their entries; return the paths of images with a fault."""
    bad, crowded, strays = set(), set(), []
    for index, annotation in enumerate(annotations):
        where, identity = f"{path}: annotations[{index}]", annotation.get("image_id")
        entry = entries.get(_identity(identity), where)
        if entry is where:
            strays.append(f"{where}.image_id {identity!r}")
        elif entry:
            try:
                if _is_crowd(annotation, where):
                    log.add("dropped", "box", "of a crowd", [f"annotations[{index}]"])
                    crowded.add(entry.path)
                    continue
                category = annotation.get("category_id")
                name = names.get(_identity(category))
                expected = "the id of a category"
                require(name is not None, f"{where}.category_id", expected, category)
                box = annotation.get("bbox")
                entry.boxes.append((*_read_box(box, f"{where}.bbox"), name))
                log.add("read", "box", "as large as its outline", [where] * isinstance(box, tuple))
            except ValueError as error:
                log.bad(error)
                bad.add(entry.path)
    if strays and len(strays) == len(annotations):
        raise ValueError(f"{strays[0]}: expected the id of an image, as in all annotations")
    log.add("dropped", "box", "of an image that is not in the file", strays)
    log.add("kept", "image", "with a crowd that has no box", [], len(crowded - bad))
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
