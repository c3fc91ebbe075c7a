"""Digits from every source: what is read, what is refused, and in which order they are tried."""

import gzip
import hashlib
import io
import socket
import struct
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from PIL import Image

from mnist import archives, digit_images, idx
from mnist.digit_images import decode_digit
from mnist.digits import find_digits, keras_cache, load_digits_set
from mnist.download import download
from mnist.offline import read_offline_digits

KEYS = ("x_train", "y_train", "x_test", "y_test")


def some_arrays(train: int = 12, test: int = 5) -> dict[str, np.ndarray]:
    """Return random digits with black borders, under the keys of mnist.npz."""
    rng = np.random.default_rng(1)
    arrays = {}
    for part, count in (("train", train), ("test", test)):
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 4:24, 4:24] = rng.integers(64, 256, (count, 20, 20))
        arrays[f"x_{part}"] = images
        arrays[f"y_{part}"] = rng.integers(0, 10, count).astype(np.uint8)
    return arrays


def npz_bytes(**changes) -> bytes:
    arrays = {key: value for key, value in (some_arrays() | changes).items() if value is not None}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def assert_same(digits, arrays) -> None:
    read = (digits.train_images, digits.train_labels, digits.test_images, digits.test_labels)
    for key, value in zip(KEYS, read, strict=True):
        np.testing.assert_array_equal(value, arrays[key], err_msg=key)


# mnist.npz


def test_npz_is_read_as_it_is(tmp_path):
    path = tmp_path / "my mnist.NPZ"
    path.write_bytes(npz_bytes())
    digits = load_digits_set(path)
    assert_same(digits, some_arrays())
    assert digits.source == str(path)


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"y_test": None}, "without y_test.npy"),
        ({"x_train": np.full((12, 784), 255, np.uint8)}, r"uint8 \(12, 784\)"),
        ({"x_test": np.ones((5, 28, 28))}, "float64"),
        ({"x_test": np.zeros((0, 28, 28), np.uint8)}, r"\(0, 28, 28\)"),
        ({"y_train": np.zeros(11, np.uint8)}, r"\(11,\) for 12 images"),
        ({"y_train": np.full(12, 0.5)}, "float64"),
        ({"y_test": np.array([0, 1, 2, 3, 10])}, "from 0 to 10"),
        ({"y_test": np.array([-1, 1, 2, 3, 4])}, "from -1 to 4"),
        ({"y_test": np.array([None] * 5)}, "allow_pickle"),
    ],
)
def test_npz_with_other_content_is_refused(tmp_path, changes, received):
    path = tmp_path / "mnist.npz"
    path.write_bytes(npz_bytes(**changes))
    with pytest.raises(ValueError, match=received) as error:
        load_digits_set(path)
    assert str(error.value).startswith(f"{path}: expected mnist.npz")


def test_a_blank_digit_is_refused(tmp_path):
    images = some_arrays()["x_train"]
    images[7] = np.minimum(images[7], 63)
    (tmp_path / "mnist.npz").write_bytes(npz_bytes(x_train=images))
    with pytest.raises(ValueError, match="blank picture, number 7 of the training images"):
        load_digits_set(tmp_path / "mnist.npz")


@pytest.mark.parametrize("keep", [0, 1, 100, -30])
def test_a_truncated_npz_is_refused_in_one_line(tmp_path, keep):
    path = tmp_path / "mnist.npz"
    path.write_bytes(npz_bytes()[:keep])
    with pytest.raises(ValueError, match="received BadZipFile") as error:
        load_digits_set(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        npz_bytes(),  # an archive where an array should be
        b"\x93NUMPY\x01\x00\x06\x00{'a':(",
        b"\x93NUMPY\x01\x00\xff\xff" + b" " * 65535,  # numpy's message has two lines
    ],
)
def test_a_damaged_array_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "mnist.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for key in KEYS:
            archive.writestr(f"{key}.npy", content)
    with pytest.raises(ValueError, match="expected mnist.npz") as error:
        load_digits_set(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["missing.npz", "missing folder"])
def test_a_missing_path_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name}: expected .*; received no such file or folder"):
        load_digits_set(tmp_path / name)


def test_a_file_of_another_type_is_refused(tmp_path):
    (tmp_path / "digits.csv").write_text("1,2")
    with pytest.raises(ValueError, match="received a file of type '.csv'"):
        load_digits_set(tmp_path / "digits.csv")


# IDX files


def write_idx(folder, arrays, ending: str = "-idx{}-ubyte") -> None:
    for stem, key in zip(idx.STEMS, KEYS, strict=True):
        array = arrays[key]
        content = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        content += array.tobytes()
        path = folder / (stem + ending.format(array.ndim))
        path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)


@pytest.mark.parametrize("ending", ["-idx{}-ubyte", ".idx{}-ubyte", "-idx{}-ubyte.gz"])
def test_idx_files_are_read_as_they_are(tmp_path, ending):
    write_idx(tmp_path, some_arrays(), ending)
    assert_same(load_digits_set(tmp_path), some_arrays())


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("damage", "received"),
    [
        (lambda content: b"\0\0\x0d" + content[3:], "starting with"),  # float32
        (lambda content: content[:3] + b"\1" + content[4:], "starting with"),
        (lambda content: content[:9], "starting with"),
        (lambda content: content[:-1], "9407 bytes after a header for 9408"),
        (lambda content: content + b"\0", "more bytes after a header for 9408"),
        (lambda content: content[:4] + b"\xff" * 12 + content[16:], "bytes, more than"),
        (lambda content: content[:4] + b"\0" * 4 + content[8:], "more bytes"),
    ],
)
def test_a_broken_idx_file_is_refused(tmp_path, damage, received, zipped):
    write_idx(tmp_path, some_arrays())
    path = tmp_path / "train-images-idx3-ubyte"
    content = damage(path.read_bytes())
    path.unlink()
    if zipped:
        path, content = path.with_name(path.name + ".gz"), gzip.compress(content)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path.name} .*{received}"):
        load_digits_set(tmp_path)


def test_a_missing_idx_file_is_named(tmp_path):
    write_idx(tmp_path, some_arrays())
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(ValueError, match="IDX files without t10k-labels-idx1-ubyte"):
        load_digits_set(tmp_path)


def test_a_gzip_bomb_is_read_no_further_than_its_header_says(tmp_path):
    write_idx(tmp_path, some_arrays())
    path = tmp_path / "t10k-labels-idx1-ubyte"
    bomb = gzip.compress(path.read_bytes() + bytes(200_000_000), compresslevel=1)
    path.unlink()
    path.with_name(path.name + ".gz").write_bytes(bomb)
    started = time.process_time()
    with pytest.raises(ValueError, match="more bytes after a header for 5"):
        load_digits_set(tmp_path)
    assert time.process_time() - started < 0.1


# pictures in a folder or a zip


def picture_files(count: int = 18) -> dict[str, bytes]:
    """Return `label_index.png` files; the label is the index modulo 10."""
    images = some_arrays(train=count)["x_train"]
    return {f"{n % 10}_{n:05d}.png": png(image) for n, image in enumerate(images)}


def write_set(path, files: dict[str, bytes]) -> None:
    """Write the files as a zip, or as a folder."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)


@pytest.fixture(params=["digits.zip", "digits"])
def picture_set(request, tmp_path):
    """Return where to write a set of pictures: as a zip, and as a folder."""
    return tmp_path / request.param


def test_every_sixth_picture_of_a_flat_set_goes_to_the_test(picture_set):
    write_set(picture_set, picture_files() | {"README.txt": b"ten", "._7_1.png": b"mac"})
    digits = load_digits_set(picture_set)
    # Sorted by label: 0 0 1 1 ... 7 7 8 9; every sixth of these.
    assert digits.test_labels.tolist() == [2, 5, 9]
    assert digits.train_labels.tolist() == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6, 7, 7, 8]
    images = some_arrays(train=18)["x_train"]
    np.testing.assert_array_equal(digits.test_images, images[[12, 15, 9]])
    np.testing.assert_array_equal(digits.train_images[:3], images[[0, 10, 1]])


def test_train_and_test_folders_are_kept_apart(picture_set):
    files = list(picture_files().items())
    inside = {f"train/{name}": content for name, content in files[:4]}
    inside |= {f"test/{name}": content for name, content in files[4:6]}
    write_set(picture_set, inside)
    digits = load_digits_set(picture_set)
    assert digits.train_labels.tolist() == [0, 1, 2, 3]
    assert digits.test_labels.tolist() == [4, 5]


def test_a_set_with_one_part_only_is_refused(picture_set):
    write_set(picture_set, {f"train/{name}": data for name, data in picture_files().items()})
    with pytest.raises(ValueError, match="18 pictures for training and 0 for the test"):
        load_digits_set(picture_set)


@pytest.mark.parametrize("content", [b"", b"no picture", png(np.full((28, 28), 200, np.uint8))])
def test_a_picture_that_cannot_be_used_is_named(picture_set, content):
    write_set(picture_set, picture_files() | {"3_00003.png": content})
    with pytest.raises(ValueError, match=r"3_00003\.png: (not a|a blank) picture"):
        load_digits_set(picture_set)


def test_a_picture_file_of_many_bytes_is_refused(picture_set, monkeypatch):
    monkeypatch.setattr(digit_images, "MAX_IMAGE_BYTES", 5_000)
    write_set(picture_set, picture_files() | {"3_00003.png": bytes(5_001)})
    with pytest.raises(ValueError, match="3_00003.png.*more than 5000"):
        load_digits_set(picture_set)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="0 pictures for training and 0 for the test"):
        load_digits_set(tmp_path)


@pytest.mark.parametrize("background", [0, 60, 200, 255])
def test_pictures_of_any_polarity_become_white_on_black(background):
    digit = some_arrays()["x_train"][0] // 4  # 0, or 16 to 63
    digit[14, 14] = 64
    shown = background + digit if background < 100 else background - digit
    np.testing.assert_array_equal(decode_digit(png(shown.astype(np.uint8))), digit)


def test_a_large_picture_keeps_its_shape():
    tall = np.full((560, 280), 255, np.uint8)
    tall[80:480, 100:180] = 0  # a stroke 80 wide and 400 high, in the middle
    digit = decode_digit(png(tall))  # the square of 560 is shrunk 20 times
    expected = np.zeros((28, 28), np.uint8)
    expected[4:24, 12:16] = 255
    np.testing.assert_array_equal(digit, expected)


def test_colour_pictures_are_read_as_grey():
    digit = some_arrays()["x_train"][0]
    np.testing.assert_array_equal(decode_digit(png(np.stack([digit] * 3, axis=-1))), digit)


def test_a_zip_cannot_write_outside(tmp_path):
    path = tmp_path / "in" / "digits.zip"
    path.parent.mkdir()
    write_set(path, {f"../../{name}": data for name, data in picture_files().items()})
    load_digits_set(path)
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]


@pytest.mark.parametrize(("bound", "value"), [("MAX_MEMBERS", 17), ("MAX_TOTAL_BYTES", 1000)])
def test_an_archive_past_the_bounds_is_refused(tmp_path, monkeypatch, bound, value):
    monkeypatch.setattr(archives, bound, value)
    write_set(tmp_path / "digits.zip", picture_files())
    with pytest.raises(ValueError, match=f"an archive of .* more than {value}"):
        load_digits_set(tmp_path / "digits.zip")


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path):
    path = tmp_path / "digits.zip"
    write_set(path, picture_files() | {"3_00003.png": bytes(10_000_000)})
    honest, lie = struct.pack("<I", 10_000_000), struct.pack("<I", 100)
    assert path.read_bytes().count(honest) == 2  # at the member, and in the archive's table
    path.write_bytes(path.read_bytes().replace(honest, lie))
    with pytest.raises(ValueError, match="BadZipFile"):
        load_digits_set(path)


def test_reading_stops_at_the_limit_even_if_the_archive_gives_more():
    class Lying(zipfile.ZipFile):
        def open(self, member):
            return io.BytesIO(bytes(1000))

    with Lying(io.BytesIO(), "w") as archive, pytest.raises(ValueError, match="more than 99"):
        archives.read_member(archive, zipfile.ZipInfo("a"), limit=99)


# the offline digits


def test_offline_digits_look_like_mnist():
    train_images, train_labels, test_images, test_labels = read_offline_digits()
    assert (len(train_labels), len(test_labels)) == (1500, 297)
    images = np.concatenate([train_images, test_images])
    assert images.shape == (1797, 28, 28) and images.dtype == np.uint8
    assert not images[:, :4].any() and not images[:, :, -4:].any()  # the margin
    assert (images.max(axis=(1, 2)) > 200).all()
    flat = images.reshape(1797, -1)
    assert len(np.unique(flat, axis=0)) == 1797  # none is in both parts
    assert set(train_labels) == set(test_labels) == set(range(10))


def test_offline_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    images, train_labels, _, test_labels = read_offline_digits()
    originals = load_digits()
    np.testing.assert_array_equal(np.append(train_labels, test_labels), originals.target)
    for drawn, original in zip(images[:200], originals.images[:200], strict=True):
        inner = Image.fromarray(drawn[4:24, 4:24]).resize((8, 8), Image.Resampling.BOX)
        assert np.corrcoef(np.asarray(inner).ravel(), original.ravel())[0, 1] > 0.9


# the download, and the order of the sources


class Site(HTTPServer):
    """A site with one answer; counts the requests."""

    def __init__(self, content: bytes, announced: int | None = None, status=200, wait_s=0.0):
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.status, self.wait_s, self.requests = content, status, wait_s, 0
        self.announced = len(content) if announced is None else announced
        self.url = f"http://127.0.0.1:{self.server_port}/mnist.npz"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        time.sleep(self.server.wait_s)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(self.server.announced))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_args):
        pass


@pytest.fixture
def serve(monkeypatch):
    """Return a function that starts a Site; all are closed in the end."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    sites = []

    def start(content: bytes, **kwargs) -> Site:
        sites.append(Site(content, **kwargs))
        threading.Thread(target=sites[-1].serve_forever, args=(0.01,), daemon=True).start()
        return sites[-1]

    yield start
    for site in sites:
        site.shutdown()
        site.server_close()


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


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"content": npz_bytes() + b"1"}, "expected SHA-256"),
        ({"content": npz_bytes()[:-1], "announced": len(npz_bytes())}, "expected SHA-256|Incomp"),
        ({"content": b"gone", "status": 404}, "HTTP Error 404"),
        ({"content": npz_bytes(), "wait_s": 1.0}, r"nothing received for 0\.2 s|timed out"),
    ],
)
def test_a_failed_download_says_why(serve, answer, reason):
    with pytest.raises(ConnectionError, match=reason):
        download(serve(**answer).url, sha256(npz_bytes()), stall_s=0.2)


def test_a_download_has_a_largest_size(serve, monkeypatch):
    monkeypatch.setattr("mnist.download.MAX_DOWNLOAD_BYTES", 100_000)
    with pytest.raises(ConnectionError, match="received 131072 bytes"):
        download(serve(bytes(1_000_000)).url, sha256(bytes(1_000_000)))


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
    monkeypatch.setattr("mnist.offline.find_spec", lambda _name: None)
    with pytest.raises(RuntimeError, match="pip install scikit-learn"):
        find_digits(say=str, url=unused_url())
