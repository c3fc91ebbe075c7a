"""Archives of digits from strangers: one line, little memory, nothing written anywhere."""

import gzip
import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from digit_samples import image_files, npz_bytes, png, some_arrays, write_set

from mnist import archives, idx
from mnist.digits import load_digits_set
from mnist.make_data import ROOT
from mnist.npz import KEYS
from tests.torture.mutants import mutate

MUTATIONS = 100


def refused(path, message):
    with pytest.raises(ValueError, match=message) as error:
        load_digits_set(path)
    assert str(error.value).startswith(f"{path}: expected mnist.npz, a folder")
    assert str(error.value).isprintable()


def npy_header(shape, dtype="|u1"):
    """Return a .npy file that announces an array and ends there."""
    stream = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


def npz_of(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key in KEYS:
            archive.writestr(f"{key}.npy", content)
    return path


def flag_as_encrypted(data):
    """Set bit 0 of the flags of every member, in the members and in the table."""
    data = bytearray(data)
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = data.find(signature)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(signature, place + 1)
    return bytes(data)


# Bombs


@pytest.mark.parametrize(
    "shape", [(2**40,), (60_000, 28, 28), (2**62, 4), (1, 2**63 - 1), (0, 2**62), (-1,)]
)
def test_an_array_that_is_not_as_large_as_its_header_says_is_refused(tmp_path, shape):
    refused(npz_of(tmp_path / "a.npz", npy_header(shape) + b"1"), "1 bytes after a header for")


def test_an_archive_that_inflates_past_the_bound_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 10**6)
    refused(npz_of(tmp_path / "a.npz", bytes(10**6)), "of 4000000 bytes unpacked, more than")


def test_an_archive_with_a_huge_table_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archives._Reader, "max_read", 1_000)
    write_set(tmp_path / "a.zip", image_files())
    refused(tmp_path / "a.zip", "an archive with a table of [0-9]+ bytes, more than 1000")


def test_an_image_bomb_in_an_archive_is_refused(tmp_path):
    bomb = png(np.zeros((5_000, 5_000), np.uint8))
    assert len(bomb) < 30_000
    write_set(tmp_path / "a.zip", image_files() | {"3_00003.png": bomb})
    refused(tmp_path / "a.zip", "3_00003.png: not an image of a digit: 5,000 x 5,000 pixels")


def test_a_gzip_bomb_stays_in_its_bounds(tmp_path):
    for stem, key in zip(idx.STEMS, KEYS, strict=True):
        array = some_arrays()[key]
        sizes = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *[2**10] * array.ndim)
        (tmp_path / f"{stem}-idx{array.ndim}-ubyte.gz").write_bytes(gzip.compress(sizes))
    refused(tmp_path, "train-images-idx3-ubyte.gz of 1073741824 bytes, more than 536870912")


# Tricks


def test_pickled_arrays_run_no_code(tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "attacked"),)

    content = npy_header((1,), "|O") + pickle.dumps(Attack())
    refused(npz_of(tmp_path / "a.npz", content), "allow_pickle")
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("name", ["../../{}", "/{}", "C:\\{}", "a/../../../{}"])
def test_no_member_leaves_the_memory(tmp_path, name):
    path = tmp_path / "in" / "digits.zip"
    path.parent.mkdir()
    write_set(path, {name.format(file): data for file, data in image_files().items()})
    try:
        load_digits_set(path)
    except ValueError as error:
        assert "0 images for training" in str(error)  # a backslash is part of a zip's names
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]


def test_a_link_in_an_archive_is_not_followed(tmp_path):
    write_set(tmp_path / "a.zip", image_files())
    link = zipfile.ZipInfo("3_00099.png")
    link.external_attr = 0o120777 << 16  # a symbolic link, as Unix archives have it
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(tmp_path / "a.zip", "3_00099.png: not an image")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_among_the_images_is_not_read(tmp_path, kind):
    write_set(tmp_path, image_files())
    if kind == "pipe":
        os.mkfifo(tmp_path / "3_00099.png")
    else:
        (tmp_path / "3_00099.png").symlink_to("/dev/zero")
    refused(tmp_path, "3_00099.png: not a regular file")


def test_an_encrypted_archive_is_refused(tmp_path):
    (tmp_path / "a.npz").write_bytes(flag_as_encrypted(npz_bytes()))
    refused(tmp_path / "a.npz", "RuntimeError: .* is encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression_is_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        for key in KEYS:
            archive.writestr(f"{key}.npy", b"")
    refused(tmp_path / "a.npz", "x_train.npy that is neither stored nor deflated")


def test_names_cannot_steer_the_terminal(tmp_path):
    write_set(tmp_path / "a.zip", image_files() | {"\x1b[2J\n/3_00099.png": b""})
    refused(tmp_path / "a.zip", r"received \?\[2J /3_00099.png: not an image")


# Damage


@pytest.mark.parametrize("kind", ["a.zip", "a.npz", "stored.npz"])
def test_a_damaged_archive_is_read_or_refused(tmp_path, kind):
    if kind == "stored.npz":
        np.savez(tmp_path / kind, **some_arrays())
    elif kind == "a.npz":
        (tmp_path / kind).write_bytes(npz_bytes())
    else:
        write_set(tmp_path / kind, image_files())
    content, rng = (tmp_path / kind).read_bytes(), np.random.default_rng(0)
    outcomes = set()
    for _ in range(MUTATIONS):
        (tmp_path / kind).write_bytes(mutate(content, rng))
        try:
            load_digits_set(tmp_path / kind)
            outcomes.add("read")
        except ValueError as error:
            assert str(error).startswith(f"{tmp_path / kind}: expected mnist.npz, a folder")
            assert str(error).isprintable()
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_the_script_ends_with_2_and_one_line_and_writes_nothing(tmp_path):
    npz_of(tmp_path / "a.npz", npy_header((2**40,)))
    done = subprocess.run(
        [sys.executable, ROOT / "mnist" / "make_data.py", "--mnist", "a.npz", "--output", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "x_train.npy with 0 bytes after a header for 1099511627776" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
