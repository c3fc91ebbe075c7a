"""What happens to data sets between reading and writing: classes, cleaning, merging, splitting.

A cleaned set is fit to train on: its images can be read, its boxes show part of them. Images are
the same if their files have the same content, whatever their names.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from yolov3.annotations import box_text, format_line
from yolov3.data.image_files import content_keys, read_sizes
from yolov3.formats.common import IMAGES_HINT, ConversionLog
from yolov3.formats.data_set import AnnotatedImage, DataSet
from yolov3.images import ImageFileError
from yolov3.nms import paired_ious
from yolov3.text import require

# A millionth of a pixel: floating point dust goes, so every format gives the same boxes back.
PIXEL_DECIMALS = 6
NOT_READ = "which cannot be read"
EDGE_TOLERANCE = 1.0  # pixels that a box may reach over the edge, from rounding, without a note
UNPLACED = -1  # in neither part yet: 0, the others, or 1, the chosen
SAME_OBJECT = 0.5  # IoU of two boxes of one class, from which they are taken for one object
AUGMENTED = re.compile(r"(.+)\.rf\.[0-9A-Za-z]+")  # what Roboflow calls copies of an image


class Unusable(Exception):
    """Nobody can train on an image: the reason, and details."""


def unite(lists: Iterable[list[str]]) -> list[str]:
    """Return the names of several lists, each once, in the order of their first appearance."""
    return list(dict.fromkeys(name for names in lists for name in names))


def rename_classes(data: DataSet, renames: Mapping[str, str]) -> DataSet:
    """Give classes new names, all at once, so that two may swap; classes of one name become one."""
    names = [renames.get(name, name) for name in data.class_names]
    return _renumber(replace(data, class_names=names), unite([names]))


def select_classes(data: DataSet, names: list[str], log: ConversionLog) -> DataSet:
    """Number the classes as in `names` and drop the boxes of all others.

    Raises ValueError if the data set has classes, but none of these.
    """
    has_some = not data.class_names or not set(names).isdisjoint(data.class_names)
    expected = f"at least one of the classes {names[:5]}"
    require(has_some, data.sources[0], expected, data.class_names[:5])
    counts = zip(data.class_names, data.boxes_per_class.tolist(), strict=True)
    others = Counter({name: count for name, count in counts if count and name not in names})
    shown = [f"{name!r} {count:,}" for name, count in others.most_common()]
    log.add("dropped", "box", "of a class that --names leaves out", shown, others.total())
    return _renumber(data, names)


def clean(data: DataSet, log: ConversionLog) -> DataSet:
    """Drop images that cannot be used or have a box that shows nothing; clip the other boxes.

    Without its broken box an image would be trained on with an object that has no label. Sizes come
    from the headers of the images. The boxes returned are in pixels, in steps of a millionth.
    Raises ValueError if no image is left.
    """
    kept, faults = [], []
    sizes_wh, errors = read_sizes([image.path for image in data.images], "reading image sizes")
    for image, size in zip(data.images, map(tuple, sizes_wh.tolist()), strict=True):
        try:
            kept.append(_fit(image, errors.get(image.path, size), data.relative, log))
        except Unusable as fault:
            reason, details = fault.args
            log.add("dropped", "image", reason, [f"{image.path!r} ({details})"])
            faults.append(f"{image.path!r}, {reason} ({details})")
    if not kept:
        first = f"of the {len(faults):,} can be used, first {faults[0]}" if faults else "given"
        hint = f" ({IMAGES_HINT})" if NOT_READ in first else ""
        raise ValueError(f"{data.sources[0]}: expected images; none {first}{hint}")
    cleaned = replace(data, images=kept, relative=False)
    lost = data.num_boxes - cleaned.num_boxes
    log.add("dropped", "box", "as their images were dropped", [], lost)
    return cleaned


def merge(sets: list[DataSet], class_names: list[str], log: ConversionLog) -> DataSet:
    """Make one data set of several whose boxes are in pixels, with these classes.

    Of an image that is in it more than once, one stays with the objects of all; the log says so.
    """
    sets = [_renumber(data, class_names) for data in sets]
    if len(sets) == 1:
        return sets[0]
    images = [image for data in sets for image in data.images]
    kept: dict[Hashable, AnnotatedImage] = {}
    for key, image in zip(content_keys([image.path for image in images]), images, strict=True):
        kept[key] = _join(kept[key], image, log) if key in kept else image
    sources = [source for data in sets for source in data.sources]
    return DataSet(list(kept.values()), class_names, sources)


def split(data: DataSet, fraction: float, seed: int) -> tuple[DataSet, DataSet]:
    """Split a data set into one to train and one to test on, which gets `fraction` of each class.

    Images of the same content stay together, and those that were augmented from one. The order of
    the images and their folders do not matter. Raises ValueError for less than two such groups.
    """
    keys = content_keys([one.path for one in data.images])
    groups: dict[Hashable, list[AnnotatedImage]] = {}
    for key, image in zip(keys, data.images, strict=True):
        augmented = AUGMENTED.fullmatch(Path(image.path).stem)
        groups.setdefault(augmented[1] if augmented else key, []).append(image)
    if len(groups) < 2:
        raise ValueError("--split: expected at least 2 different images; received 1")
    drawn = sorted(groups.values(), key=lambda group: min(_lot(x, data, seed) for x in group))
    counts = np.array([_counts(replace(data, images=group)) for group in drawn])
    is_test = _stratify(counts, fraction)
    chosen = {one.path for i in np.flatnonzero(is_test) for one in drawn[i]}
    train = [one for one in data.images if one.path not in chosen]
    test = [one for one in data.images if one.path in chosen]
    return replace(data, images=train), replace(data, images=test)


def _fit(image: AnnotatedImage, size, relative: bool, log: ConversionLog) -> AnnotatedImage:
    """Return an image with its boxes in pixels, inside of it; log those that are cut by that.

    `size` is (width, height) or the error of reading it. Raises Unusable.
    """
    try:
        format_line(image.path, image.boxes_xyxy[:0], image.classes[:0])
    except ValueError:
        reason = "whose path no annotation line can hold"
        raise Unusable(reason, "not UTF-8, or a line break") from None
    if isinstance(size, ImageFileError):
        raise Unusable(NOT_READ, size.reason)
    if any(given > 0 and given != read for given, read in zip(image.size_wh, size, strict=True)):
        details = "is {}x{}, annotated as {}x{}".format(*size, *image.size_wh)
        raise Unusable("whose annotation gives another size", details)
    limits = np.tile(size, 2)
    boxes_xyxy = (image.boxes_xyxy * (limits if relative else 1)).round(PIXEL_DECIMALS)
    clipped = np.clip(boxes_xyxy, 0, limits)
    reasons = "with a box that is empty or inverted", "with a box outside of it"
    for reason, tested in zip(reasons, (boxes_xyxy, clipped), strict=True):
        rounded = tested.astype(np.float32)  # as an annotation line holds it
        broken = (rounded[:, 2:] <= rounded[:, :2]).any(axis=1)
        if broken.any():
            raise Unusable(reason, box_text(boxes_xyxy[broken.argmax()]))
    is_cut = (np.abs(clipped - boxes_xyxy) > EDGE_TOLERANCE).any(axis=1)
    examples = [f"{image.path!r} {box_text(box)}" for box in boxes_xyxy[is_cut]]
    log.add("cut", "box", "at the edge of their image", examples)
    return image._replace(size_wh=size, boxes_xyxy=clipped)


def _counts(data: DataSet) -> list[int]:
    """Return the numbers of boxes of each class, of images without a box, and of all images."""
    background = sum(not len(image.classes) for image in data.images)
    return [*data.boxes_per_class, background, len(data.images)]


def _stratify(counts: np.ndarray, fraction: float) -> np.ndarray:
    """Choose some of G groups of images, (G, K) with counts of K kinds each, as a mask (G,).

    The chosen ones have about `fraction` of each kind: the groups are placed one by one, those of
    the rarest kind first, where the balance of all kinds becomes better, as in the iterative
    stratification of Sechidis et al., 2011. The last group of a kind goes where none of it is.
    """
    counts = counts[:, counts.any(axis=0)]
    has, shares = counts > 0, counts / counts.sum(axis=0)  # (G, K)
    left = has.sum(axis=0)  # (K,) groups with some of a kind that are not placed yet
    # (K,) by how much the others are ahead of the chosen, as fractions of what each should have.
    lead = np.zeros(len(left))
    have_some = np.zeros((2, len(left)), bool)  # the others, the chosen: of which kinds
    part = np.full(len(counts), UNPLACED)
    for kind in np.argsort(left, kind="stable"):
        groups = np.flatnonzero(has[:, kind] & (part == UNPLACED))
        large_first = np.argsort(-shares[groups, kind], kind="stable")  # small ones level out
        for group in groups[large_first]:
            if_other = lead + shares[group] / (1 - fraction)
            if_chosen = lead - shares[group] / fraction
            is_chosen = np.sum(if_chosen**2) < np.sum(if_other**2)
            is_last_chance = has[group] & (left == 1) & (have_some.sum(axis=0) == 1)  # (K,)
            if is_last_chance.any():  # for the part that lacks these kinds, or most of them
                is_chosen = have_some[0, is_last_chance].mean() >= 0.5
            part[group] = is_chosen
            lead = if_chosen if is_chosen else if_other
            left = left - has[group]
            have_some[part[group]] |= has[group]
    return part == 1


def _lot(image: AnnotatedImage, data: DataSet, seed: int) -> bytes:
    """Return a random number for an image that depends on nothing but its name and its boxes."""
    names = [data.class_names[index] for index in image.classes]
    content = repr((seed, Path(image.path).name, image.size_wh, image.boxes_xyxy.tolist(), names))
    return hashlib.sha256(content.encode(errors="surrogateescape")).digest()


def _join(image: AnnotatedImage, other: AnnotatedImage, log: ConversionLog) -> AnnotatedImage:
    """Return an image with the objects that only another annotation of it has as well."""
    ious = paired_ious(other.boxes_xyxy, image.boxes_xyxy)
    new = ~((ious > SAME_OBJECT) & (other.classes[:, None] == image.classes)).any(axis=1)
    if not new.any():
        example = f"{other.path!r} is {image.path!r}"
        log.add("dropped", "image", "which came before with the same objects", [example])
        return image
    boxes_xyxy = np.concatenate([image.boxes_xyxy, other.boxes_xyxy[new]])
    classes = np.concatenate([image.classes, other.classes[new]])
    counts = f"{len(image.classes)} and {len(other.classes)} boxes, together {len(classes)}"
    reason = "annotated differently twice, with all objects of both"
    log.add("joined", "image", reason, [f"{image.path!r} and {other.path!r} ({counts})"])
    return image._replace(boxes_xyxy=boxes_xyxy, classes=classes)


def _renumber(data: DataSet, class_names: list[str]) -> DataSet:
    """Number the classes as in `class_names`; the boxes of others are left out."""
    place = {name: index for index, name in enumerate(class_names)}
    new_index = np.array([place.get(name, -1) for name in data.class_names], int)
    images = []
    for image in data.images:
        classes = new_index[image.classes]  # (N,), -1 for a class that is left out
        keep = classes >= 0
        images.append(image._replace(boxes_xyxy=image.boxes_xyxy[keep], classes=classes[keep]))
    return replace(data, images=images, class_names=class_names)
