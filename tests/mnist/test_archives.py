"""Zip archives: nothing leaves the memory, and nothing unpacks past the bounds."""

import io
import struct
import zipfile

import pytest
from digit_samples import image_files, write_set

from mnist import archives
from mnist.digits import load_digits_set


def test_a_zip_cannot_write_outside(tmp_path):
    path = tmp_path / "in" / "digits.zip"
    path.parent.mkdir()
    write_set(path, {f"../../{name}": data for name, data in image_files().items()})
    load_digits_set(path)
    assert sorted(tmp_path.rglob("*")) == [path.parent, path]


@pytest.mark.parametrize(("bound", "value"), [("MAX_MEMBERS", 17), ("MAX_TOTAL_BYTES", 1000)])
def test_an_archive_past_the_bounds_is_refused(tmp_path, monkeypatch, bound, value):
    monkeypatch.setattr(archives, bound, value)
    write_set(tmp_path / "digits.zip", image_files())
    with pytest.raises(ValueError, match=f"an archive of .* more than {value}"):
        load_digits_set(tmp_path / "digits.zip")


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path):
    path = tmp_path / "digits.zip"
    write_set(path, image_files() | {"3_00003.png": bytes(10_000_000)})
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
