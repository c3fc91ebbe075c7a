"""The download of a data set of photographs, from an archive on this machine."""

import io
import zipfile

import pytest
from script_runs import exit_code

import get_data

FILES = {
    "Annotations/a.xml": b"<annotation/>",
    "ImageSets/Main/train.txt": b"a\n",
    "JPEGImages/a.jpg": bytes(range(256)),
}


OTHERS = dict.fromkeys(["README.md", "BCCD/.DS_Store", "../evil.xml", "/evil/a.jpg"], b"1")


def archive_of(files, top="BCCD_Dataset-master/BCCD/", **others) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path, content in ({top + path: files[path] for path in files} | others).items():
            archive.writestr(path, content)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def published(monkeypatch):
    monkeypatch.setattr(get_data, "CHECKSUMS", {"bccd": get_data.checksum(FILES)})


def get(folder, capsys, *flags):
    """Run the script; return exit code, output and errors."""
    code = exit_code(get_data.main, ["bccd", "--folder", folder, *flags])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("source", ["http", "file", "--from"])
def test_it_takes_what_matters_and_verifies_it_once(source, serve, tmp_path, capsys):
    archive, target = tmp_path / "master.zip", tmp_path / "data" / "bccd"
    archive.write_bytes(archive_of(FILES, **OTHERS))
    site = serve(archive.read_bytes())
    url = {"http": site.url, "file": archive.as_uri()}.get(source)
    flags = ("--url", url) if url else ("--from", archive)
    right = f"{target}: the checksum is right\n"
    assert get(tmp_path / "data", capsys, *flags) == (0, f"bccd: from {flags[1]}\n{right}", "")
    there = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert there == set(FILES)  # and nothing out of its folder
    assert {path.name for path in tmp_path.iterdir()} == {"data", "master.zip"}
    assert all((target / path).read_bytes() == content for path, content in FILES.items())
    archive.unlink()
    (target / "JPEGImages" / "a.jpg").write_bytes(b"mine")
    there = f"{target}: there already; move it away to download it anew\n"
    assert get(tmp_path / "data", capsys, *flags) == (0, there, "")
    assert site.requests == (source == "http")
    assert (target / "JPEGImages" / "a.jpg").read_bytes() == b"mine"


BAD_ARCHIVES = {
    "expected the files of bccd .* received 2 files": archive_of(dict(list(FILES.items())[:2])),
    "expected the files of bccd .* received 4": archive_of(FILES, **{"/JPEGImages/evil.jpg": b""}),
    "expected the files of bccd .* received 1": archive_of({"JPEGImages/..\\..\\x.jpg": b""}, ""),
    "not a readable zip archive": archive_of(FILES)[:-30],
    "not a readable zip archive: File is not a zip file": b"<html>moved</html>",
    "not a readable zip archive: Bad CRC-32": archive_of(FILES).replace(
        b"<annotation/>", b"<annotatiom/>"
    ),
}


@pytest.mark.parametrize("reason", BAD_ARCHIVES)
def test_a_bad_archive_is_one_line_and_leaves_nothing(reason, serve, tmp_path, capsys):
    site = serve(BAD_ARCHIVES[reason])
    (tmp_path / "bad.zip").write_bytes(BAD_ARCHIVES[reason])
    for expected, flag, source in (
        (1, "--url", site.url),
        (2, "--from", tmp_path / "bad.zip"),
    ):
        code, _, error = get(tmp_path / "data", capsys, flag, source)
        assert code == expected and error.count("\n") == 1 and str(source) in error
        with pytest.raises(ValueError, match=reason):
            raise ValueError(error)
        assert not (tmp_path / "data").exists()


def test_a_site_or_an_archive_that_is_not_there_is_one_line(serve, tmp_path, capsys):
    site = serve(b"gone", status=404)
    code, _, error = get(tmp_path, capsys, "--url", site.url)
    assert (code, error) == (1, f"failed: {site.url}: HTTP Error 404: Not Found\n")
    code, _, error = get(tmp_path, capsys, "--from", tmp_path / "no.zip")
    assert (code, error) == (2, f"error: {tmp_path}/no.zip: No such file or directory\n")
