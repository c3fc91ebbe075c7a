"""Several data sets into one, classes under other names, and one data set into two parts."""

import hashlib
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from yolov3.annotations import read_annotations
from yolov3.formats.conversion import ConversionJob, Source, convert
from yolov3.formats.data_set import DataSet, annotated_image
from yolov3.formats.preparing import split

BOX, SHIFTED, OTHER = "1,2,30,20", "1.5,2,30,20.5", "31,21,59,39"


def write_set(folder, rows, names):
    """Write an annotation file and its names; a row is (image, grey, box and class ...)."""
    folder.mkdir(exist_ok=True)
    for name, grey, *_ in rows:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (60, 40), grey).save(folder / name)
    text = "\n".join(" ".join([name, *boxes]) for name, _, *boxes in rows)
    (folder / "set.txt").write_text(text)
    (folder / "set.names").write_text("\n".join(names))
    return Source("annotations", folder / "set.txt")


def run(tmp_path, *sources, **settings):
    """Convert to annotation lines; return the summary, the boxes by image, and the classes."""
    job = ConversionJob(list(sources), tmp_path / "out.txt", "annotations", overwrite=True)
    summary = convert(job._replace(**settings))
    return summary, read(tmp_path, "out")


def read(tmp_path, stem):
    """Return the boxes (xmin, ymin, xmax, ymax, class name) of an output by image."""
    names = (tmp_path / f"{stem}.names").read_text().split()
    found = {}
    for record in read_annotations(tmp_path / f"{stem}.txt"):
        name = str(Path(record.image_path).relative_to(tmp_path))
        assert name not in found
        boxes = zip(record.boxes_xyxy.tolist(), record.classes, strict=True)
        found[name] = sorted((*box, names[label]) for box, label in boxes)
    return found


def test_classes_are_united_by_name(tmp_path):
    one = write_set(tmp_path / "1", [("a.png", 1, f"{BOX},0", f"{OTHER},1")], ["nut", "bolt"])
    two = write_set(tmp_path / "2", [("a.png", 2, f"{BOX},0", f"{OTHER},1")], ["cap", "nut"])
    summary, boxes = run(tmp_path, one, two)
    assert (tmp_path / "out.names").read_text().split() == ["nut", "bolt", "cap"]
    assert boxes == {
        "1/a.png": [(1, 2, 30, 20, "nut"), (31, 21, 59, 39, "bolt")],
        "2/a.png": [(1, 2, 30, 20, "cap"), (31, 21, 59, 39, "nut")],
    }
    assert f"read 1 image and 2 boxes from {one.path}\nread 1 image and 2 boxes" in summary
    assert "3 classes: nut 2, bolt 1, cap 1\nwrote" in summary
    chosen = tmp_path / "chosen"
    chosen.write_text("cap\nbolt\n")
    run(tmp_path, one._replace(names=chosen), two._replace(names=chosen))
    assert (tmp_path / "out.names").read_text().split() == ["cap", "bolt"]
    records = read_annotations(tmp_path / "out.txt")
    assert [record.classes.tolist() for record in records] == [[1], [0]]


@pytest.mark.parametrize(
    ("renames", "names", "labels"),
    [
        ({}, ["Bolt", "nut", "bolt"], ["Bolt", "nut", "bolt", "nut"]),
        ({"Bolt": "bolt"}, ["bolt", "nut"], ["bolt", "nut", "bolt", "nut"]),
        ({"nut": "bolt", "bolt": "nut"}, ["Bolt", "bolt", "nut"], ["Bolt", "bolt", "nut", "bolt"]),
    ],
)
def test_classes_get_other_names(tmp_path, renames, names, labels):
    one = write_set(tmp_path / "1", [("a.png", 1, f"{BOX},0", f"{OTHER},1")], ["Bolt", "nut"])
    two = write_set(tmp_path / "2", [("a.png", 2, f"{BOX},0", f"{OTHER},1")], ["bolt", "nut"])
    summary, boxes = run(tmp_path, one, two, renames=renames)
    assert (tmp_path / "out.names").read_text().split() == names
    assert [label for rows in boxes.values() for *_, label in rows] == labels
    twins = "Bolt, bolt differ only in case; --rename bolt=Bolt makes them one class\n"
    assert (twins in summary) == (renames == {})


def test_names_to_keep_get_their_new_names_too(tmp_path):
    source = write_set(tmp_path / "1", [("a.png", 1, f"{BOX},0", f"{OTHER},1")], ["Bolt", "nut"])
    source = source._replace(names=tmp_path / "chosen")
    source.names.write_text("Bolt\n")
    _, boxes = run(tmp_path, source, renames={"Bolt": "bolt"})
    assert boxes == {"1/a.png": [(1, 2, 30, 20, "bolt")]}


def test_a_name_that_no_class_has_is_refused(tmp_path):
    source = write_set(tmp_path / "1", [("a.png", 1, f"{BOX},0")], ["Bolt", "nut"])
    with pytest.raises(ValueError, match="no class 'bolts', but Bolt, nut"):
        run(tmp_path, source, renames={"bolts": "bolt"})


def test_an_image_of_two_sources_is_there_once(tmp_path):
    rows = [
        ("a.png", 1, f"{BOX},0"),
        ("b.png", 2),
        ("d.png", 5, f"{BOX},0"),
        ("c{}.png", 3, f"{BOX},0"),
    ]
    one = write_set(tmp_path / "1", rows, ["cat", "dog"])
    rows = [
        ("other.png", 1, f"{SHIFTED},1"),  # the same but for rounding
        ("b.png", 2),
        ("d.png", 5, f"{BOX},0"),
        ("c{}.png", 3, f"{SHIFTED},1", f"{SHIFTED},0", f"{OTHER},1"),
        ("new.png", 4, f"{BOX},0"),
    ]
    two = write_set(tmp_path / "2", rows, ["dog", "cat"])
    summary, boxes = run(tmp_path, one, two, one._replace(path=tmp_path / "2" / ".." / "1/set.txt"))
    assert boxes == {
        "1/a.png": [(1, 2, 30, 20, "cat")],
        "1/b.png": [],
        "1/c{}.png": [(1, 2, 30, 20, "cat"), (1.5, 2, 30, 20.5, "dog"), (31, 21, 59, 39, "cat")],
        "1/d.png": [(1, 2, 30, 20, "cat"), (1, 2, 30, 20, "dog")],  # nobody knows which it is
        "2/new.png": [(1, 2, 30, 20, "dog")],
    }
    same = f"{str(tmp_path / '2/other.png')!r} is {str(tmp_path / '1/a.png')!r}"
    assert "dropped 6 images, which came before with the same objects: " in summary
    assert same in summary
    assert "joined 2 images, annotated differently twice, with all objects of both: " in summary
    assert "c{}.png' (1 and 3 boxes, together 3)" in summary


def random_set(folder, rng, count, num_classes):
    """Make a data set, its classes from frequent to rare, some images without a box."""
    images = []
    for number in range(count):
        classes = np.minimum(rng.geometric(0.5, rng.integers(0, 8)) - 1, num_classes - 1)
        name = f"{number // 2}_jpg.rf.{number:032x}" if 8 <= number < 14 else str(number)
        path = folder / str(number % 3) / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % (1000 + number // 2 * 2 if number < 8 else 1000 + number))
        images.append(annotated_image(path, (9, 9), [[0, 0, 9, 9]] * len(classes), classes))
    return DataSet(images, [f"class {index}" for index in range(num_classes)], [str(folder)])


@pytest.mark.parametrize("fraction", [0.2, 0.5])
@pytest.mark.parametrize(("count", "num_classes"), [(24, 3), (200, 6)])
def test_a_split_has_a_fraction_of_each_class_in_its_test_part(
    tmp_path, fraction, count, num_classes
):
    data = random_set(tmp_path, np.random.default_rng(0), count, num_classes)
    train, test = split(data, fraction, seed=0)
    paths = [{image.path for image in part.images} for part in (train, test)]
    assert not paths[0] & paths[1] and paths[0] | paths[1] == {one.path for one in data.images}
    contents = [{hashlib.md5(Path(p).read_bytes()).digest() for p in part} for part in paths]
    assert not contents[0] & contents[1]
    originals = [{Path(p).name.split(".rf")[0] for p in part} for part in paths]
    assert not originals[0] & originals[1]
    total, tested = data.boxes_per_class, test.boxes_per_class
    assert (train.boxes_per_class + tested == total).all()
    with_class = Counter(label for one in data.images for label in set(one.classes.tolist()))
    for label, images in with_class.items():
        assert 0 < tested[label] < total[label]
        assert abs(tested[label] / total[label] - fraction) < (0.03 if images > 50 else 0.35)
    background = [sum(not len(one.classes) for one in part.images) for part in (train, test)]
    assert min(background) > 0
    assert abs(len(test.images) / count - fraction) < 0.05


@pytest.mark.parametrize("seed", range(20))
def test_a_class_of_two_images_is_in_both_parts_of_a_split(tmp_path, seed):
    rng = np.random.default_rng(seed)
    labels = [[label for label in range(5) if rng.random() < 0.2] for _ in range(14)]
    images = [
        annotated_image(tmp_path / f"{n}.png", (9, 9), [[0, 0, 9, 9]] * len(row), row)
        for n, row in enumerate(labels)
    ]
    train, test = split(DataSet(images, list("abcde"), ["x"]), 0.2, seed)
    for label in range(5):
        if sum(label in row for row in labels) > 1:
            assert 0 < test.boxes_per_class[label] and 0 < train.boxes_per_class[label]


def test_a_split_is_fair_where_some_images_have_most_of_the_boxes(tmp_path):
    rng = np.random.default_rng(0)
    numbers = (rng.pareto(2, (300, 3)) * 4).astype(int)
    images = [
        annotated_image(
            tmp_path / f"{n}.png", (9, 9), [[0, 0, 9, 9]] * sum(row), np.repeat([0, 1, 2], row)
        )
        for n, row in enumerate(numbers)
    ]
    _, test = split(DataSet(images, list("abc"), ["x"]), 0.2, seed=0)
    np.testing.assert_allclose(test.boxes_per_class / numbers.sum(axis=0), 0.2, atol=0.015)
    assert 58 <= len(test.images) <= 62


def test_a_split_depends_on_the_seed_alone(tmp_path):
    data = random_set(tmp_path / "x", np.random.default_rng(0), 60, 4)
    other = random_set(tmp_path / "elsewhere", np.random.default_rng(0), 60, 4)
    random.Random(1).shuffle(other.images)

    def tested(data, seed):
        return {Path(image.path).name for image in split(data, 0.2, seed)[1].images}

    assert tested(data, 0) == tested(other, 0) != tested(data, 1)


def test_one_image_cannot_be_split(tmp_path):
    rows = [("a.png", 1, f"{BOX},0"), ("copy.png", 1, f"{BOX},0")]
    with pytest.raises(ValueError, match="expected at least 2 different images; received 1"):
        run(tmp_path, write_set(tmp_path / "1", rows, ["cat"]), split=0.5)


@pytest.mark.parametrize(
    ("target_format", "target", "files"),
    [
        ("annotations", "s.txt", ["s_test.names", "s_test.txt", "s_train.names", "s_train.txt"]),
        ("coco", "s.json", ["s_test.json", "s_train.json"]),
        ("voc", "s", ["s/test/2.xml", "s/train/1.xml", "s/train/3.xml"]),
        (
            "yolo",
            "s",
            [f"s/{name}.txt" for name in ("test/2", "test/classes", "train/1", "train/3")]
            + ["s/train/classes.txt"],
        ),
    ],
)
def test_both_parts_of_a_split_are_written(tmp_path, target_format, target, files):
    rows = [(f"{number}.png", number, f"{BOX},0") for number in (1, 2, 3)]
    source = write_set(tmp_path / "in", rows, ["cat"])
    job = ConversionJob([source], tmp_path / "new" / target, target_format, split=0.3)
    summary = convert(job)
    written = sorted(p for p in (tmp_path / "new").rglob("*") if p.is_file())
    assert [str(path.relative_to(tmp_path / "new")) for path in written] == files
    assert "1 class, boxes in train + test: cat 2 + 1\n" in summary
    path = str(job.target).replace("s.", "s_test.") + ("/test" if "." not in target else "")
    assert f"wrote {path}: 1 image and 1 box" in summary
