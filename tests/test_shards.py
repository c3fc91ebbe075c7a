"""Images in shards: the same as in files, at random places, and errors in one line."""

import io
import os
import random
import tarfile
import threading

import cv2
import numpy as np
import pytest

from yolov3.data.annotation_check import check_annotations
from yolov3.data.image_files import content_keys
from yolov3.images import ImageFileError, read_image, read_image_size
from yolov3.shards import find_image, open_image

NAMES = ("a.png", "b c.jpg", "deep/folder/ü.webp", "x" * 150 + ".png", "rotated.tif", "README")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder of images of many formats, and s.tar, in which tarfile has put them."""
    folder = tmp_path_factory.mktemp("shard")
    rng = np.random.default_rng(0)
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        ending = os.path.splitext(name)[1] or ".bmp"
        image = rng.integers(0, 256, (*rng.integers(40, 200, 2), 3), np.uint8)
        (folder / name).write_bytes(cv2.imencode(ending, image)[1])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no image")
    (folder / "cut.jpg").write_bytes((folder / "b c.jpg").read_bytes()[:-99])
    with tarfile.open(folder / "s.tar", "w") as tar:
        for name in (*NAMES, "empty.png", "text.png", "cut.jpg", "deep"):
            tar.add(folder / name, f"./{name}" if name == "a.png" else name, recursive=False)
    return folder


def test_an_image_in_a_shard_is_the_one_in_its_file(folder):
    for name in NAMES:
        inside = f"{folder}/s.tar#{name}"
        np.testing.assert_array_equal(read_image(inside), read_image(folder / name))
        assert read_image_size(inside) == read_image_size(folder / name)
        assert find_image(inside).size == (folder / name).stat().st_size
    assert find_image(f"{folder}/s.tar#./a.png") == find_image(f"{folder}/s.tar#a.png")
    keys = content_keys(
        [f"{folder}/s.tar#{NAMES[0]}", str(folder / NAMES[0]), str(folder / NAMES[1])]
    )
    assert keys[0] == keys[1] != keys[2]


def test_a_part_of_a_shard_behaves_as_a_file_does(folder):
    chance = random.Random(0)
    content = (folder / NAMES[0]).read_bytes()
    with (
        open_image(find_image(f"{folder}/s.tar#{NAMES[0]}")) as ours,
        io.BytesIO(content) as theirs,
    ):
        for _ in range(300):
            where = chance.choice([(0,), (chance.randrange(20_000),), (-5, 2), (3, 1), (0, 2)])
            assert ours.seek(*where) == theirs.seek(*where)
            count = chance.choice([1, 2, 100, 9000, -1])
            assert ours.read(count) == theirs.read(count)
            assert ours.tell() == theirs.tell()


def test_the_same_checks_and_the_same_errors_as_for_files(folder):
    lines = [
        "a.png",
        "b c.jpg 1,2,30,31,0",
        "a.png 5,5,999,9,0",
        "gone.png",
        "empty.png",
        "text.png",
        "cut.jpg",
        "deep",
    ]
    reports = []
    for prefix in ("", "s.tar#"):
        (folder / "train.txt").write_text("".join(f"{prefix}{line}\n" for line in lines))
        reports.append(check_annotations(folder / "train.txt", 3))
    files, shard = reports
    assert [one.line for one in files.records] == [one.line for one in shard.records] == [1, 2]
    found = [one.message.replace("s.tar#", "") for one in shard.problems]
    expected = [one.message for one in files.problems]
    assert found[:-1] == expected[:-1] and len(found) == 6
    assert found[-1].endswith("deep' (no such file)") and expected[-1].endswith("deep' (a folder)")
    assert [one.kind for one in files.warnings] == [one.kind for one in shard.warnings]


def test_a_shard_that_changes_is_read_anew(folder, tmp_path):
    shard = tmp_path / "s.tar"
    for size in (10, 20):
        with tarfile.open(shard, "w") as tar:
            for name in ("first.png", "second.png")[: size // 10]:
                data = cv2.imencode(".png", np.zeros((size, 30, 3), np.uint8))[1].tobytes()
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        assert read_image_size(f"{shard}#first.png") == (30, size)


@pytest.mark.parametrize("mode", ["w:gz", "w:xz", None])
def test_what_is_no_tar_is_an_error_that_says_so(tmp_path, mode):
    if mode:
        tarfile.open(tmp_path / "s.tar", mode).close()
    else:
        (tmp_path / "s.tar").write_text("no tar" * 500)
    with pytest.raises(ImageFileError, match=r"s\.tar#a\.png: .* no complete, uncompressed tar"):
        read_image(tmp_path / "s.tar#a.png")


def test_of_a_shard_that_is_cut_off_the_first_images_can_be_read(folder, tmp_path):
    content = (folder / "s.tar").read_bytes()
    place = find_image(f"{folder}/s.tar#{NAMES[2]}")
    (tmp_path / "s.tar").write_bytes(content[: place.start + place.size // 2])
    assert read_image(tmp_path / f"s.tar#{NAMES[1]}").any()
    for name in NAMES[2:4]:
        with pytest.raises(ImageFileError) as error:
            read_image(f"{tmp_path}/s.tar#{name}")
        assert error.value.kind == "unreadable image" and "\n" not in str(error.value)


def test_a_damaged_shard_is_an_image_or_an_error(folder, tmp_path):
    chance = random.Random(1)
    whole = (folder / "s.tar").read_bytes()
    headers = [find_image(f"{folder}/s.tar#{name}").start - 512 for name in NAMES]
    for index in range(200):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            content[chance.choice(headers) + chance.randrange(512)] = chance.randrange(256)
        (tmp_path / f"{index}.tar").write_bytes(content)
        try:
            read_image(f"{tmp_path}/{index}.tar#{NAMES[1]}")
        except ImageFileError as error:
            assert "\n" not in str(error)


def test_without_its_shard_an_image_is_missing(tmp_path):
    os.mkfifo(tmp_path / "pipe.tar")
    for name, kind in (("none", "missing image"), ("pipe", "unreadable image")):
        with pytest.raises(ImageFileError) as error:
            read_image(tmp_path / f"{name}.tar#b.png")
        assert error.value.kind == kind


def test_threads_share_a_shard(folder):
    expected = {name: read_image(folder / name) for name in NAMES}
    wrong = []

    def read(chance):
        for _ in range(30):
            name = chance.choice(NAMES)
            if not np.array_equal(read_image(f"{folder}/s.tar#{name}"), expected[name]):
                wrong.append(name)

    threads = [threading.Thread(target=read, args=[random.Random(i)]) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
