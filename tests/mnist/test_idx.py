"""MNIST's original IDX files: what is read, and how a broken one is refused."""

import gzip
import struct
import time

import pytest
from digit_samples import assert_same, some_arrays

from mnist import idx
from mnist.digits import load_digits_set
from mnist.npz import KEYS


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
