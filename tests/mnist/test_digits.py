"""The sources of digits: a path, the Keras cache, the download, the offline set, in this order."""

import hashlib
import socket
import time

import pytest
from digit_samples import assert_same, npz_bytes, some_arrays

from mnist.digits import find_digits, keras_cache, load_digits_set


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


@pytest.mark.parametrize("name", ["missing.npz", "missing folder"])
def test_a_missing_path_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name}: expected .*; received no such file or folder"):
        load_digits_set(tmp_path / name)


def test_a_file_of_another_type_is_refused(tmp_path):
    (tmp_path / "digits.csv").write_text("1,2")
    with pytest.raises(ValueError, match="received a file of type '.csv'"):
        load_digits_set(tmp_path / "digits.csv")


def test_the_cache_is_where_keras_has_it(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert keras_cache() == tmp_path / "datasets" / "mnist.npz"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
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


def test_a_path_comes_before_the_cache_and_the_network(serve, cache, tmp_path):
    cache.parent.mkdir(parents=True)
    cache.write_bytes(npz_bytes(**some_arrays(train=3)))
    (tmp_path / "mine.npz").write_bytes(npz_bytes())
    assert len(find_digits(tmp_path / "mine.npz").train_labels) == 12
    assert len(find_digits().train_labels) == 3
    with pytest.raises(ValueError, match="no such file"):  # never another set in its place
        find_digits(tmp_path / "missing.npz")


def test_a_bad_cache_is_told_and_not_overwritten(serve, cache):
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"cut off")
    content, told = npz_bytes(), []
    digits = find_digits(say=told.append, url=serve(content).url, sha256=sha256(content))
    assert_same(digits, some_arrays())
    assert str(cache) in told[0] and "BadZipFile" in told[0]
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
