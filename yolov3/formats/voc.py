"""Pascal VOC: an XML file per image.

The corners of VOC are pixels, counted from 1, and both belong to the box: xmin = 1, xmax = 500 is
all of an image 500 wide (VOC development kit, section on annotations). Here a box is bounded by
edges, so that is 0 to 500: xmin and ymin are one less, xmax and ymax stay. LabelImg writes plain
edges into the same tags, cut to whole pixels, and 1 in place of 0; so do some other tools.
"""

import xml.etree.ElementTree as ElementTree
from enum import Enum
from pathlib import Path, PureWindowsPath

import numpy as np

from yolov3.annotations import box_text
from yolov3.class_names import class_name
from yolov3.formats.common import ConversionLog, parse_number, read_text
from yolov3.formats.data_set import DataSet, annotated_image, file_stems, single_annotations
from yolov3.formats.image_lookup import ImageLookup, place_of, stem_of
from yolov3.text import require

PARTS = ("train", "val", "test")  # those in ImageSets/Main that share no image
TRAINVAL = ("trainval", "test")  # where train and val are not apart
TAGS = ("xmin", "ymin", "xmax", "ymax")


class Corners(Enum):
    """The meaning of xmin, ymin, xmax, ymax: their offsets from the edges of the box."""

    PIXELS = (1, 1, 0, 0)  # the first and the last pixel, counted from 1
    EDGES = (0, 0, 0, 0)


def read_voc_parts(
    lists: Path, images: Path | None, corners: Corners | None, log: ConversionLog
) -> dict[str, DataSet]:
    """Read the parts of a data set by their names, as the lists in ImageSets/Main name their files.

    What a list names and Annotations lacks is a fault in the log; an empty list is no part. Raises
    ValueError where no list names an image.
    """
    folder = lists.absolute().parents[1] / "Annotations"
    parts, listed = {}, set()
    names = PARTS if any((lists / f"{part}.txt").is_file() for part in PARTS[:2]) else TRAINVAL
    for path in (file for part in names if (file := lists / f"{part}.txt").is_file()):
        stems = {line.strip() for line in read_text(path).splitlines()} - {""}
        if not stems:
            log.add("skipped", "list", "which names no image", [str(path)])
            continue
        log.add("found", "image", "in two lists", sorted(stems & listed))
        listed |= stems
        parts[path.stem] = data = read_voc(folder, images, corners, log, stems)
        for stem in sorted(stems - {Path(source).stem for source in data.sources}):
            log.bad(f"{path}: there is no {stem}.xml in {folder}")
    if not parts:
        files = ", ".join(f"{part}.txt" for part in (*PARTS, TRAINVAL[0]))
        raise ValueError(f"{lists}: expected lists of images in {files}; received none")
    return parts


def read_voc(
    path: Path, images: Path | None, corners: Corners | None, log: ConversionLog, stems=None
) -> DataSet:
    """Read a folder of XML files, or a single one; the classes are in alphabetical order.

    With `stems`, a set, only files of these names are read. Without `corners` they are edges in
    files of LabelImg and pixels in all others. Images are looked for below `images`, or near the
    XML files; files that cannot be read are faults in the log. Raises ValueError where there is no
    VOC file.
    """
    top, files = (path, log.search(path, {".xml"})) if path.is_dir() else (path.parent, [path])
    if stems is not None:
        files = [file for file in files if file.stem in stems]
    elif not files:
        raise ValueError(f"{path}: expected a folder of VOC XML files; received no .xml file")
    lookup = ImageLookup(top, images, log)
    rows, sources = [], []
    for file in files:
        try:
            root = _parse(file)
            image_path = _find_image(root, file, top, lookup)
            rows.append((image_path, *_read_image(root, file, corners, log)))
            sources.append(str(file))
        except ValueError as error:
            log.bad(error)
    if path.is_dir() and stems is None:
        lookup.note_unused()
    class_names = sorted({name for *_, names in rows for name in names})
    place = {name: index for index, name in enumerate(class_names)}
    read = [annotated_image(*row, [place[name] for name in names]) for *row, names in rows]
    return DataSet(single_annotations(read, sources, log), class_names, [str(f) for f in files])


def format_voc(data: DataSet, corners: Corners) -> dict[str, str]:
    """Write the XML files of a data set: text by file name."""
    stems = file_stems(data.images)
    texts = (_format_image(image, data.class_names, corners) for image in data.images)
    return {f"{stem}.xml": text for stem, text in zip(stems, texts, strict=True)}


def _find_image(root: ElementTree.Element, file: Path, top: Path, lookup: ImageLookup) -> str:
    """Return the path of the image that an XML file describes.

    An image with its own name is taken before another that <filename> gives: names in files are
    left behind when image and file are renamed together.
    """
    folder, path = _text(root, "folder"), _text(root, "path")
    given = _text(root, "filename") or path or file.stem
    longer = path if path.endswith(given) else "/".join(filter(None, (folder, given)))
    own_stems = file.stem.lower(), stem_of(file.stem)
    is_renamed = stem_of(PureWindowsPath(given).name) not in own_stems
    names = (file.stem if is_renamed else "", longer, given, file.stem, path)
    below = str(file.parent.relative_to(top))
    return lookup.locate(given, str(file), place_of(file, top), below, names)


def _read_image(
    root: ElementTree.Element, path: Path, corners: Corners | None, log: ConversionLog
) -> tuple[tuple[int, int], list, list[str]]:
    """Return size (0, 0 if unknown), boxes_xyxy, and class names of an image."""
    sides = ("width", "height")
    size_wh = tuple(int(_number(root, "size", tag, f"{path}: size", "0")) for tag in sides)
    boxes, names = [], []
    for number, element in enumerate(root.iter("object"), start=1):
        where = f"{path}: object {number}"
        names.append(class_name(_text(element, "name"), f"{where} <name>"))
        boxes.append([_number(element, "bndbox", tag, where) for tag in TAGS])
    offset = (corners or _corners_of(root, path, log)).value
    if offset[0] and any(min(box[:2]) < 1 for box in boxes):
        reason = "with a corner below 1, from which VOC counts; see --voc-corners"
        log.add("found", "file", reason, [repr(str(path))])
    boxes_xyxy = [[v - o for v, o in zip(box, offset, strict=True)] for box in boxes]
    return size_wh, boxes_xyxy, names


def _corners_of(root: ElementTree.Element, path: Path, log: ConversionLog) -> Corners:
    """Tell LabelImg by what it alone writes: <path>, and a <source> with an unknown database."""
    source = [(child.tag, child.text) for child in root.iterfind("source/*")]
    if source != [("database", "Unknown")] or root.find("path") is None:
        return Corners.PIXELS
    reason = "of LabelImg, whose corners are edges; see --voc-corners"
    log.add("found", "file", reason, [repr(str(path))])
    return Corners.EDGES


def _parse(path: Path) -> ElementTree.Element:
    """Parse an XML file. expat bounds the expansion of entities, and no external one is read."""
    try:
        root = ElementTree.fromstring(read_text(path))
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: expected VOC XML; received {error}") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2].lower()  # without its namespace
    require(root.tag == "annotation", path, "<annotation>", root.tag)
    return root


def _number(parent: ElementTree.Element, inside: str, tag: str, where: str, default="") -> float:
    return parse_number(_text(parent, f"{inside}/{tag}") or default, f"{where} <{tag}>")


def _text(parent: ElementTree.Element, tag: str) -> str:
    return (parent.findtext(tag) or "").strip()


def _format_image(image, class_names: list[str], corners: Corners) -> str:
    root = ElementTree.Element("annotation")
    path = Path(image.path)
    _add(root, folder=path.parent.name, filename=path.name, path=image.path)
    size = ElementTree.SubElement(root, "size")
    _add(size, width=image.size_wh[0], height=image.size_wh[1], depth=3)
    _add(root, segmented=0)
    for box, label in zip(image.boxes_xyxy + np.array(corners.value), image.classes, strict=True):
        element = ElementTree.SubElement(root, "object")
        _add(element, name=class_names[label], pose="Unspecified", truncated=0, difficult=0)
        values = dict(zip(TAGS, box_text(box).split(","), strict=True))
        _add(ElementTree.SubElement(element, "bndbox"), **values)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _add(parent: ElementTree.Element, **values: object) -> None:
    for tag, value in values.items():
        ElementTree.SubElement(parent, tag).text = str(value)
