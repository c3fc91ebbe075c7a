"""The download of the official weights, from a server on this machine."""

import hashlib
import re

import pytest
from script_runs import exit_code, run

import get_weights

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
NAME = "yolov3.weights"


@pytest.fixture(params=["sha256", "sha512"])
def published(request, monkeypatch):
    """Publish CONTENT under NAME, by one of the two checksums."""
    checksum = hashlib.new(request.param, CONTENT).hexdigest()
    monkeypatch.setattr(get_weights, "CHECKSUMS", {NAME: checksum})


def get(url, folder, capsys):
    """Run the script; return exit code, output and errors."""
    code = exit_code(get_weights.main, ["--url", url, "--folder", folder])
    return code, *capsys.readouterr()


def folder_url(site) -> str:
    return site.url.rpartition("/")[0] + "/"


def test_it_downloads_and_verifies_once(published, serve, tmp_path, capsys):
    site, path = serve(CONTENT), tmp_path / "new" / NAME
    url = folder_url(site)
    code, out, error = get(url, path.parent, capsys)
    assert (code, error) == (0, "")
    right = f"{path}: the checksum is right\n"
    assert out == f"{NAME}: downloading from {url}{NAME}\n{right}"
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert get(url, path.parent, capsys) == (0, right, "")
    assert site.requests == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"content": CONTENT[:-1] + b"?"}, "expected sha.*; received 1,024,000 bytes with"),
        ({"content": b"<html>moved</html>"}, "expected sha.*; received 18 bytes with"),
        ({"content": CONTENT[:-1], "announced": len(CONTENT)}, "received 1,023,999 bytes with"),
        ({"content": b"", "status": 403}, "HTTP Error 403: Forbidden"),
        ({"content": CONTENT, "wait_s": 1.0}, "timed out|nothing received for 0.2 s"),
    ],
)
def test_a_failed_download_is_one_line_and_leaves_nothing(
    published, serve, tmp_path, capsys, monkeypatch, answer, reason
):
    monkeypatch.setattr(get_weights, "STALL_S", 0.2)
    url = folder_url(serve(**answer))
    code, _, error = get(url, tmp_path, capsys)
    assert code == 1 and error.count("\n") == 1
    assert error.startswith(f"failed: {url}{NAME}: ") and re.search(reason, error)
    assert list(tmp_path.iterdir()) == []


def test_another_file_of_that_name_is_left_alone(published, serve, tmp_path, capsys):
    site = serve(CONTENT)
    (tmp_path / NAME).write_bytes(b"mine")
    code, _, error = get(folder_url(site), tmp_path, capsys)
    assert code == 2
    assert re.search("received 4 bytes .*; move it away to download the published file", error)
    assert (tmp_path / NAME).read_bytes() == b"mine" and site.requests == 0


def test_an_unknown_name_is_refused(tmp_path):
    result = run(tmp_path, "tools/get_weights.py", "yolov9.weights")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "error: expected names of yolov3.weights, yolov3-tiny.weights, darknet53.conv.74; "
        "received 'yolov9.weights'\n"
    )
