"""The digits: a path, the Keras cache, the download, the offline set; and what is refused."""

import hashlib
import os

import numpy as np
import pytest
from digit_samples import assert_same, npz_bytes, some_arrays

from mnist.digits import KEYS, find_digits, keras_cache, load_digits
from tests.torture.mutants import mutate


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Make a Keras folder of the test's own, and return where MNIST belongs in it."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "datasets" / "mnist.npz"


def find_at(site, say=str):
    """Find the digits as if this site published its content."""
    return find_digits(say=say, url=site.url, sha256=hashlib.sha256(site.content).hexdigest())


def refusal(path) -> str:
    """Return what a bad path is told to hold, in one line that names it."""
    with pytest.raises(ValueError) as error:
        find_digits(path)
    told = str(error.value)
    assert told.startswith(f"{path}: expected mnist.npz; ") and "\n" not in told
    return told.partition("received ")[2]


OTHER_ARRAYS = [
    ({"x_train": np.full((12, 784), 255, np.uint8)}, "training images uint8 (12, 784)"),
    ({"x_test": np.ones((5, 28, 28))}, "test images float64"),
    ({"x_test": np.zeros((0, 28, 28), np.uint8)}, "(0, 28, 28)"),
    ({"y_train": np.zeros(11, np.uint8)}, "training labels that are not 0 to 9 for each of 12"),
    ({"y_train": np.full(12, 0.5)}, "training labels that are not 0 to 9"),
    ({"y_test": np.array([-1, 1, 2, 3, 10])}, "test labels that are not 0 to 9"),
    ({"y_test": None}, "y_test"),
    ({"y_test": np.array([None] * 5)}, "allow_pickle"),
]


@pytest.mark.parametrize(
    ("content", "received"),
    [
        *((npz_bytes(**changes), received) for changes, received in OTHER_ARRAYS),
        (npz_bytes()[:100], "no archive of arrays"),
        (b"<html>log in</html>", "no archive of arrays"),
    ],
)
def test_other_arrays_and_files_are_refused(tmp_path, content, received):
    path = tmp_path / "mnist.npz"
    path.write_bytes(content)
    assert received in refusal(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_is_read_as_it_is(tmp_path, save):
    arrays = some_arrays() | {"y_train": np.arange(12) % 10}  # any kind of integer
    save(tmp_path / "my mnist.npz", **arrays)
    digits = load_digits(tmp_path / "my mnist.npz")
    assert_same(digits, arrays)
    assert digits.source == str(tmp_path / "my mnist.npz")


def test_pickled_arrays_run_no_code(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "attacked"),)

    attack = np.empty(1, object)
    attack[0] = Attack()
    np.savez(tmp_path / "mnist.npz", **dict.fromkeys(KEYS, attack))
    assert "allow_pickle" in refusal(tmp_path / "mnist.npz")
    assert not (tmp_path / "attacked").exists()


def test_a_damaged_file_is_read_or_refused(tmp_path):
    path, content, rng = tmp_path / "mnist.npz", npz_bytes(), np.random.default_rng(0)
    outcomes = set()
    for _ in range(100):
        path.write_bytes(mutate(content, rng))
        try:
            load_digits(path)
            outcomes.add("read")
        except ValueError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_the_cache_is_where_keras_has_it(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert keras_cache() == tmp_path / ".keras" / "datasets" / "mnist.npz"


def test_a_download_is_verified_kept_and_found_again(serve, cache):
    site, told = serve(npz_bytes()), []
    digits = find_at(site, told.append)
    assert_same(digits, some_arrays())
    assert digits.source == f"MNIST, downloaded from {site.url}"
    assert cache.read_bytes() == site.content
    assert told == [f"digits: there is no {cache}; downloading {site.url}"]
    again = find_at(site)
    assert_same(again, some_arrays())
    assert again.source == f"{cache} (the copy that Keras keeps)"
    assert site.requests == 1


def test_a_path_comes_before_the_cache_and_the_network(cache, tmp_path):
    cache.parent.mkdir(parents=True)
    cache.write_bytes(npz_bytes(**some_arrays(train=3)))
    (tmp_path / "mine.npz").write_bytes(npz_bytes())
    assert len(find_digits(tmp_path / "mine.npz").train_labels) == 12
    assert len(find_digits().train_labels) == 3
    assert refusal(tmp_path / "missing.npz") == "No such file or directory"  # no other set


def test_a_bad_cache_is_told_and_not_overwritten(serve, cache):
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"cut off")
    told = []
    assert_same(find_at(serve(npz_bytes()), told.append), some_arrays())
    assert str(cache) in told[0] and "no archive of arrays" in told[0]
    assert cache.read_bytes() == b"cut off"


def test_a_failed_download_falls_back_to_the_offline_digits(serve, cache, monkeypatch):
    digits = find_digits(say=str, url="http://127.0.0.1:9/")
    assert len(digits.train_labels) == 1500
    assert "scikit-learn, not MNIST, because there is no" in digits.source
    assert "download failed" in digits.source and "refused" in digits.source
    url = serve(b"<html>log in</html>").url
    assert "expected sha256" in find_digits(say=str, url=url).source
    assert not cache.exists()
    monkeypatch.setattr("mnist.sklearn_digits.find_spec", lambda _name: None)
    with pytest.raises(OSError, match="pip install scikit-learn"):
        find_digits(say=str, url=url)


def test_a_cache_that_cannot_be_written_does_not_stop_the_run(serve, cache):
    cache.parent.parent.write_text("a file where the folder should be")
    told = []
    assert_same(find_at(serve(npz_bytes()), told.append), some_arrays())
    assert "could not be kept" in told[-1]
