"""COCO JSON: one file with `images`, `annotations` and `categories`.

A box is [x, y, width, height] in pixels from the top left. Category ids may have gaps (those of
COCO go to 90 for 80 classes); classes are numbered in the order of the ids. A crowd annotation is
one box around many objects, which no detector should learn: it is dropped.

Tools write numbers as text, and ids as either; both are read, like a box that only its outline
gives. An image with an annotation that cannot be read is left out, and a fault in the log.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolov3.class_names import class_name
from yolov3.formats.common import ConversionLog, parse_number, read_text
from yolov3.formats.data_set import DataSet, annotated_image
from yolov3.formats.image_lookup import ImageLookup
from yolov3.nms import to_ltwh
from yolov3.text import require

NAME_KEYS = ("file_name", "path", "coco_url")  # of an image


class Entry(NamedTuple):
    """One of the `images`, with what the annotations say of it."""

    size_wh: tuple[int, ...]  # pixels, 0 where it is not given
    path: str  # of the image, absolute
    boxes: list[tuple]  # (xmin, ymin, xmax, ymax, class name) each


def read_coco(path: Path, images: Path | None, log: ConversionLog) -> DataSet:
    """Read a COCO file whose images are below the folder `images`, or near the file.

    Faults of images and annotations are logged. Raises ValueError naming file, element and value
    for a file that is none of COCO.
    """
    content = _load(path)
    lookup = ImageLookup(path.parent, images, log, part=path.stem.lower().split("_")[-1])
    bad: set[str] = set()  # paths of images with a fault
    entries = _read_images(content["images"], path, lookup, bad, log)
    names = _read_categories(content, path, log)
    _read_annotations(content["annotations"], entries, names, bad, path, log)
    without = list(map(repr, sorted(bad)))
    log.add("dropped", "image", "with an annotation that cannot be read", without)
    class_names = list(dict.fromkeys(names.values()))
    place = {name: index for index, name in enumerate(class_names)}
    good = [one for one in entries.values() if one and one.path not in bad]
    read = []
    for one in good:
        labels = [place[box[4]] for box in one.boxes]
        read.append(annotated_image(one.path, one.size_wh, [box[:4] for box in one.boxes], labels))
    return DataSet(read, class_names, [str(path)])


def format_coco(data: DataSet, folder: Path, decimals: int) -> str:
    """Write a data set as JSON. File names are relative to `folder` if they are in it."""
    images, annotations = [], []
    for image_id, image in enumerate(data.images, start=1):
        name = os.path.relpath(image.path, folder)
        name = image.path if name.startswith(os.pardir) else name
        width, height = image.size_wh
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        boxes_ltwh = to_ltwh(image.boxes_xyxy).round(decimals).tolist()
        for box, label in zip(boxes_ltwh, image.classes.tolist(), strict=True):
            of_what = {"id": len(annotations) + 1, "image_id": image_id, "category_id": label + 1}
            area = round(box[2] * box[3], decimals)
            annotations.append(of_what | {"bbox": box, "area": area, "iscrowd": 0})
    categories = [{"id": number, "name": name} for number, name in enumerate(data.class_names, 1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return json.dumps(content, ensure_ascii=False) + "\n"


def _load(path: Path) -> dict[str, list[dict]]:
    text = read_text(path)
    try:
        content = json.loads(text, object_hook=_forget_outline)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: expected JSON; received {error.msg}") from None
    except (ValueError, RecursionError) as error:  # absurdly long numbers, deeply nested lists
        raise ValueError(f"{path}: expected COCO JSON; received {error}") from None
    hint = " (a list, as detections are saved)" if isinstance(content, list) else ""
    expected = f"a JSON object with images, annotations and categories{hint}"
    require(isinstance(content, dict), path, expected, content)
    for key in ("images", "categories", "annotations"):
        require(isinstance(content.get(key), list), path, f"a list {key!r}", content.get(key))
        for index, element in enumerate(content[key]):
            require(isinstance(element, dict), f"{path}: {key}[{index}]", "an object", element)
    return content


def _forget_outline(element: dict) -> dict:
    """Free the polygons while the file is parsed: they are most of it. Keep the box they need."""
    outline, box = element.pop("segmentation", None), element.get("bbox")
    if isinstance(outline, list) and (not box or box == [0, 0, 0, 0]):
        with contextlib.suppress(TypeError, ValueError):  # then there is no box
            points = np.concatenate(outline).reshape(-1, 2).astype(float)
            low, high = points.min(axis=0), points.max(axis=0)
            # A tuple, which JSON has not, tells where it comes from.
            element["bbox"] = (*low.tolist(), *(high - low).tolist())
    return element


def _identity(value: object) -> int | str | None:
    """Return an id such that 1, 1.0 and "1" are one; None for what is no id."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        is_number = value.isdecimal() and len(value) < 20 and str(int(value)) == value
        return int(value) if is_number else value
    return value if type(value) is int else None


def _read_images(
    images: list[dict], path: Path, lookup: ImageLookup, bad: set[str], log: ConversionLog
) -> dict[int | str | None, Entry | None]:
    """Return the entries by their ids; None where the image cannot be told.

    An image that the file lists twice is bad.
    """
    entries: dict[int | str | None, Entry | None] = {}
    listed: dict[str, str] = {}  # where in the file, by path
    for index, image in enumerate(images):
        where, identity = f"{path}: images[{index}]", _identity(image.get("id"))
        entry = None
        try:
            require(identity is not None, f"{where}.id", "an id", image.get("id"))
            name = next(filter(None, map(image.get, NAME_KEYS)), None)
            require(isinstance(name, str), f"{where}.file_name", "a text", name)
            sides = [parse_number(image.get(x) or 0, f"{where}.{x}") for x in ("width", "height")]
            new = Entry(tuple(map(int, sides)), lookup.locate(name, where), [])
            first = listed.setdefault(new.path, where)
            if first != where:
                bad.add(new.path)
                raise ValueError(f"{where}: the image is {new.path!r}, as that of {first}")
            require(identity not in entries, f"{where}.id", "an id of its own", image["id"])
            entry = new
        except ValueError as error:
            log.bad(error)
        entries[identity] = entry
    lookup.note_unused()
    return entries


def _read_categories(content: dict[str, list[dict]], path: Path, log: ConversionLog) -> dict:
    """Return the class names by category id, in the order of the ids.

    A root, such as Roboflow's, which is over others and has no annotation, is no class.
    """
    names: dict = {}
    used = {_identity(annotation.get("category_id")) for annotation in content["annotations"]}
    parents = [category.get("supercategory") for category in content["categories"]]
    for index, category in enumerate(content["categories"]):
        where, identity = f"{path}: categories[{index}]", _identity(category.get("id"))
        require(identity is not None, f"{where}.id", "an id", category.get("id"))
        name = category.get("name")
        name = str(name) if type(name) is int else name  # classes may be called 1, 2, 3
        require(isinstance(name, str), f"{where}.name", "a text", name)
        name = class_name(name, f"{where}.name")
        is_new = names.get(identity, name) == name
        require(is_new, f"{where}.id", "an id of its own", category["id"])
        is_over_others = parents.count(name) > (category.get("supercategory") == name)
        if identity not in used and is_over_others:
            log.add("skipped", "class", "the root of others, without annotation", [repr(name)])
            continue
        if name in names.values():
            log.add("merged", "class", "of a name that another category has", [repr(name)])
        names[identity] = name
    return dict(sorted(names.items(), key=lambda item: (isinstance(item[0], str), item[0])))


def _read_annotations(
    annotations: list[dict], entries: dict, names: dict, bad: set[str], path: Path, log
) -> None:
    """Add the boxes to their entries, and the paths of images with a fault to `bad`."""
    crowded, strays = set(), []
    for index, annotation in enumerate(annotations):
        where, identity = f"{path}: annotations[{index}]", annotation.get("image_id")
        entry = entries.get(_identity(identity), where)
        if entry is where:
            strays.append(f"{where}.image_id {identity!r}")
        if not isinstance(entry, Entry):
            continue
        try:
            crowd, category = annotation.get("iscrowd") or 0, annotation.get("category_id")
            require(crowd in (0, 1, "0", "1"), f"{where}.iscrowd", "0 or 1", crowd)
            if int(crowd):
                log.add("dropped", "box", "of a crowd", [f"annotations[{index}]"])
                crowded.add(entry.path)
                continue
            name, box = names.get(_identity(category)), annotation.get("bbox")
            require(name is not None, f"{where}.category_id", "the id of a category", category)
            entry.boxes.append((*_read_box(box, f"{where}.bbox"), name))
            if isinstance(box, tuple):
                log.add("read", "box", "as large as its outline", [where])
        except ValueError as error:
            log.bad(error)
            bad.add(entry.path)
    if strays and len(strays) == len(annotations):
        raise ValueError(f"{strays[0]}: expected the id of an image, as in all annotations")
    log.add("dropped", "box", "of an image that is not in the file", strays)
    log.add("kept", "image", "with a crowd that has no box", [], len(crowded - bad))


def _read_box(box: object, where: str) -> list[float]:
    """Return a box as xyxy."""
    is_box = isinstance(box, list | tuple) and len(box) == 4
    require(is_box, where, "[x, y, width, height] as numbers", box)
    x, y, width, height = (parse_number(value, where) for value in box)
    return [x, y, x + width, y + height]
