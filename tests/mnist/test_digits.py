"""The digits: a path, the Keras cache, the download, the offline set; and what is refused."""

import hashlib
import io
import os
import pickle
import socket
import time
import zipfile

import numpy as np
import pytest
from digit_samples import assert_same, image_files, npz_bytes, png, some_arrays, write_folder

from mnist import digits as module
from mnist.digits import KEYS, Digits, find_digits, keras_cache, load_digits, read_digit
from tests.torture.mutants import mutate


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Make a Keras folder of the test's own, and return where MNIST belongs in it."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "datasets" / "mnist.npz"


def unused_url() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/mnist.npz"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def refusal(path) -> str:
    """Return what a bad path is told to hold, in one line that names it."""
    with pytest.raises(ValueError) as error:
        load_digits(path)
    told = str(error.value)
    assert told.startswith(f"{path}: expected mnist.npz, or a folder") and "\n" not in told
    return told.partition("received ")[2]


# Arrays


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"x_train": np.full((12, 784), 255, np.uint8)}, r"training images uint8 \(12, 784\)"),
        ({"x_test": np.ones((5, 28, 28))}, "test images float64"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8)}, r"\(0, 28, 28\)"),
        ({"y_train": np.zeros(11, np.uint8)}, r"\(11,\) for 12 images"),
        ({"y_train": np.full(12, 0.5)}, "float64"),
        ({"y_test": np.array([0, 1, 2, 3, 10])}, "test labels from 0 to 10"),
        ({"y_test": np.array([-1, 1, 2, 3, 4])}, "from -1 to 4"),
        ({"x_train": np.full((12, 28, 28), 63, np.uint8)}, "blank image, number 0 of the training"),
    ],
)
def test_other_arrays_are_refused(changes, received):
    arrays = some_arrays() | changes
    with pytest.raises(ValueError, match=received):
        Digits(*(arrays[key] for key in KEYS), source="a test")


# mnist.npz


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_is_read_as_it_is(tmp_path, save):
    arrays = some_arrays() | {"y_train": np.arange(12) % 10}  # any kind of integer
    save(tmp_path / "my mnist.npz", **arrays)
    digits = load_digits(tmp_path / "my mnist.npz")
    assert_same(digits, arrays)
    assert digits.source == str(tmp_path / "my mnist.npz")


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (npz_bytes(y_test=None), "y_test"),
        (npz_bytes(y_test=np.array([None] * 5)), "allow_pickle"),
        (npz_bytes()[:100], "no archive of arrays"),
        (b"", "no archive of arrays"),
        (b"<html>log in</html>", "no archive of arrays"),
        (bytes(3_000), "3000 bytes, more than 2999"),
    ],
)
def test_another_file_is_refused(tmp_path, monkeypatch, content, received):
    path = tmp_path / "mnist.npz"
    path.write_bytes(content)
    if len(content) == 3_000:
        monkeypatch.setattr(module, "MAX_FILE_BYTES", 2_999)
    assert received in refusal(path)


def npy(header: dict, content: bytes) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + content


def test_pickled_arrays_run_no_code(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "attacked"),)

    header = {"descr": "|O", "fortran_order": False, "shape": (1,)}
    with zipfile.ZipFile(tmp_path / "mnist.npz", "w") as archive:
        for key in KEYS:
            archive.writestr(f"{key}.npy", npy(header, pickle.dumps(Attack())))
    assert "allow_pickle" in refusal(tmp_path / "mnist.npz")
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    "member",
    [
        npz_bytes(),  # an archive where an array should be
        b"\x93NUMPY\x01\x00\x06\x00{'a':(",
        b"\x93NUMPY\x01\x00\xff\xff" + b" " * 65535,  # numpy's message has two lines
        npy({"descr": "|u1", "fortran_order": False, "shape": (2**62, 4)}, b"1"),
    ],
)
def test_a_damaged_array_is_refused(tmp_path, member):
    with zipfile.ZipFile(tmp_path / "mnist.npz", "w") as archive:
        for key in KEYS:
            archive.writestr(f"{key}.npy", member)
    assert refusal(tmp_path / "mnist.npz")


def test_a_damaged_file_is_read_or_refused(tmp_path):
    path, content, rng = tmp_path / "mnist.npz", npz_bytes(), np.random.default_rng(0)
    outcomes = set()
    for _ in range(100):
        path.write_bytes(mutate(content, rng))
        try:
            load_digits(path)
            outcomes.add("read")
        except ValueError as error:
            assert str(error).startswith(f"{path}: expected mnist.npz")
            assert "\n" not in str(error)
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


# Folders of images


def test_every_sixth_image_of_a_flat_folder_goes_to_the_test(tmp_path):
    write_folder(tmp_path, image_files() | {"README.txt": b"ten", "._7_1.png": b"mac"})
    digits = load_digits(tmp_path)
    # Sorted by label: 0 0 1 1 ... 7 7 8 9; every sixth of these.
    assert digits.test_labels.tolist() == [2, 5, 9]
    assert digits.train_labels.tolist() == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6, 7, 7, 8]
    images = some_arrays(train=18)["x_train"]
    np.testing.assert_array_equal(digits.test_images, images[[12, 15, 9]])
    np.testing.assert_array_equal(digits.train_images[:3], images[[0, 10, 1]])


def test_train_and_test_folders_are_kept_apart(tmp_path):
    files = list(image_files().items())
    inside = {f"train/{name}": content for name, content in files[:4]}
    inside |= {f"test/{name}": content for name, content in files[4:6]}
    digits = load_digits(write_folder(tmp_path, inside))
    assert digits.train_labels.tolist() == [0, 1, 2, 3]
    assert digits.test_labels.tolist() == [4, 5]


@pytest.mark.parametrize(
    ("files", "received"),
    [
        ({}, "0 images for training and 0 for the test"),
        ({f"train/{name}": data for name, data in image_files(3).items()}, "3 images for training"),
        (image_files() | {"3_00003.png": b"no image"}, "3_00003.png"),
        (image_files() | {"3_00003.png": png(np.full((28, 28), 200, np.uint8))}, "a blank image"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(tmp_path, files, received):
    assert received in refusal(write_folder(tmp_path, files))


@pytest.mark.parametrize("path", ["missing.npz", "missing folder"])
def test_a_missing_path_is_refused(tmp_path, path):
    assert refusal(tmp_path / path) == "No such file or directory"


@pytest.mark.parametrize("background", [0, 60, 200, 255])
def test_images_of_any_polarity_become_white_on_black(tmp_path, background):
    digit = some_arrays()["x_train"][0] // 4  # 0, or 16 to 63
    digit[14, 14] = 64
    shown = background + digit if background < 100 else background - digit
    write_folder(tmp_path, {"1_1.png": png(shown.astype(np.uint8))})
    np.testing.assert_array_equal(read_digit(tmp_path / "1_1.png"), digit)


def test_a_large_colour_image_keeps_its_shape(tmp_path):
    tall = np.full((560, 280, 3), 255, np.uint8)
    tall[80:480, 100:180] = 0  # a stroke 80 wide and 400 high, in the middle
    write_folder(tmp_path, {"1_1.png": png(tall)})
    expected = np.zeros((28, 28), np.uint8)
    expected[4:24, 12:16] = 255  # the square of 560 is shrunk 20 times
    np.testing.assert_array_equal(read_digit(tmp_path / "1_1.png"), expected)


# Where they come from


def test_the_cache_is_where_keras_has_it(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert keras_cache() == tmp_path / "datasets" / "mnist.npz"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keras_cache() == tmp_path / ".keras" / "datasets" / "mnist.npz"


def test_a_download_is_verified_kept_and_found_again(serve, cache, capsys):
    content = npz_bytes()
    site = serve(content)
    digits = find_digits(url=site.url, sha256=sha256(content))
    assert_same(digits, some_arrays())
    assert digits.source == f"MNIST, downloaded from {site.url}"
    assert cache.read_bytes() == content
    assert [path.name for path in cache.parent.iterdir()] == ["mnist.npz"]
    assert f"there is no {cache}; downloading {site.url}" in capsys.readouterr().out
    again = find_digits(url=site.url, sha256=sha256(content))
    assert_same(again, some_arrays())
    assert again.source == f"{cache} (the copy that Keras keeps)"
    assert site.requests == 1


def test_a_path_comes_before_the_cache_and_the_network(cache, tmp_path):
    cache.parent.mkdir(parents=True)
    cache.write_bytes(npz_bytes(**some_arrays(train=3)))
    (tmp_path / "mine.npz").write_bytes(npz_bytes())
    assert len(find_digits(tmp_path / "mine.npz").train_labels) == 12
    assert len(find_digits().train_labels) == 3
    with pytest.raises(ValueError, match="No such file"):  # never another set in its place
        find_digits(tmp_path / "missing.npz")


def test_a_bad_cache_is_told_and_not_overwritten(serve, cache):
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"cut off")
    content, told = npz_bytes(), []
    digits = find_digits(say=told.append, url=serve(content).url, sha256=sha256(content))
    assert_same(digits, some_arrays())
    assert str(cache) in told[0] and "no archive of arrays" in told[0]
    assert cache.read_bytes() == b"cut off"


def test_without_network_the_offline_digits_are_used_and_said_so(cache):
    started = time.perf_counter()
    digits = find_digits(say=str, url=unused_url())
    assert time.perf_counter() - started < 5
    assert len(digits.train_labels) == 1500
    assert "scikit-learn, not MNIST, because there is no" in digits.source
    assert "download failed" in digits.source and "refused" in digits.source
    assert not cache.exists()


def test_a_download_of_the_wrong_file_falls_back_and_is_not_kept(serve, cache):
    digits = find_digits(say=str, url=serve(b"<html>log in</html>").url)
    assert "scikit-learn" in digits.source and "expected SHA-256" in digits.source
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_does_not_stop_the_run(serve, cache):
    cache.parent.parent.write_text("a file where the folder should be")
    content, told = npz_bytes(), []
    digits = find_digits(say=told.append, url=serve(content).url, sha256=sha256(content))
    assert_same(digits, some_arrays())
    assert "could not be kept" in told[-1]


def test_without_scikit_learn_it_says_what_to_do(monkeypatch, cache):
    monkeypatch.setattr("mnist.sklearn_digits.find_spec", lambda _name: None)
    with pytest.raises(OSError, match="pip install scikit-learn"):
        find_digits(say=str, url=unused_url())
