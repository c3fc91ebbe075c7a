"""The download of the official weights, against servers of every kind on this machine."""

import hashlib
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import get_weights
import resumable
from resumable import KnownFile
from yolov3.cli.run import run_script

SCRIPT = Path(get_weights.__file__)
CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
NAME = "yolov3.weights"
FILE = KnownFile(NAME, len(CONTENT), "sha256", hashlib.sha256(CONTENT).hexdigest())


class Handler(BaseHTTPRequestHandler):
    """Serve the server's `content`, with its faults."""

    def do_GET(self):  # noqa: N802
        server = self.server
        server.asked.append(self.headers["Range"])
        if server.status:
            return self.send_error(server.status)
        content, start = server.content, 0
        match = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if match and server.knows_ranges:
            start = int(match[1]) + server.misplaced_by
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
            self.send_header("Content-Type", server.content_type)
        if server.tells_length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + server.cut_after.pop(0)])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """Start a server on a free port; the tests change its faults."""
    monkeypatch.setattr(resumable, "PAUSE_S", 0.0)
    monkeypatch.setattr(resumable, "STALL_S", 5.0)
    monkeypatch.setattr(get_weights, "FILES", {NAME: FILE})
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content, server.content_type, server.status = CONTENT, "application/x", 0
        server.knows_ranges = server.tells_length = True
        server.misplaced_by, server.asked = 0, []
        server.cut_after = [len(CONTENT)] * 20  # bytes sent in each answer
        server.url = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield server
        server.shutdown()


def run(server, folder, capsys):
    """Run the script as `python tools/get_weights.py`; return exit code, output and errors."""
    with pytest.raises(SystemExit) as exit_info:
        run_script(lambda: get_weights.main(["--url", server.url, "--folder", str(folder)]))
    captured = capsys.readouterr()
    return exit_info.value.code, captured.out, captured.err


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_downloads_and_verifies(server, tmp_path, capsys):
    code, out, err = run(server, tmp_path / "new", capsys)
    assert (code, err) == (0, "")
    assert out == (
        f"{NAME}: downloading 1,024,000 bytes from {server.url}{NAME}\n"
        f"{tmp_path / 'new' / NAME}: size and checksum are right\n"
    )
    assert (tmp_path / "new" / NAME).read_bytes() == CONTENT
    assert names(tmp_path / "new") == [NAME]
    assert run(server, tmp_path / "new", capsys)[:2] == (
        0,
        f"{tmp_path / 'new' / NAME}: size and checksum are right\n",
    )
    assert server.asked == [None]  # the second run downloads nothing


def test_goes_on_after_a_cut(server, tmp_path, capsys):
    server.cut_after[:2] = [300_000, 500_000]
    code, _, err = run(server, tmp_path, capsys)
    assert (code, err) == (0, "")
    assert server.asked == [None, "bytes=300000-", "bytes=800000-"]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_goes_on_after_an_interrupted_run(server, tmp_path, capsys):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:777_777])
    assert run(server, tmp_path, capsys)[0] == 0
    assert server.asked == ["bytes=777777-"]
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert names(tmp_path) == [NAME]


def test_server_without_ranges_starts_again(server, tmp_path, capsys):
    server.knows_ranges = False
    (tmp_path / f"{NAME}.part").write_bytes(b"?" * 1000)
    assert run(server, tmp_path, capsys)[0] == 0
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_server_that_tells_no_length(server, tmp_path, capsys):
    server.tells_length = False
    server.cut_after[0] = 1000
    assert run(server, tmp_path, capsys)[0] == 0
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_file_that_is_too_long_already_is_dropped(server, tmp_path, capsys):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT + b"?")
    assert run(server, tmp_path, capsys)[0] == 0
    assert server.asked == [None]


def test_wrong_checksum_leaves_nothing(server, tmp_path, capsys):
    server.content = CONTENT[:-1] + b"?"
    code, _, err = run(server, tmp_path, capsys)
    received = hashlib.sha256(server.content).hexdigest()
    assert (code, names(tmp_path)) == (1, [])
    assert err == (
        f"failed: {server.url}{NAME}: expected sha256 {FILE.checksum}; received {received}\n"
    )


def test_web_page_in_place_of_the_file_is_named_before_it_is_read(server, tmp_path, capsys):
    server.content, server.content_type = b"<html>moved</html>", "text/html"
    code, _, err = run(server, tmp_path, capsys)
    assert (code, names(tmp_path)) == (1, [])
    assert err.endswith("expected 1,024,000 bytes; the server offers 18 (text/html)\n")
    assert len(server.asked) == 1


@pytest.mark.parametrize(("status", "phrase"), [(403, "Forbidden"), (404, "Not Found")])
def test_refusal_of_the_server(server, tmp_path, capsys, status, phrase):
    server.status = status
    code, _, err = run(server, tmp_path, capsys)
    assert (code, err) == (1, f"failed: {server.url}{NAME}: {status} {phrase}\n")


def test_no_server(server, tmp_path, capsys):
    server.url = "http://127.0.0.1:9/"
    code, _, err = run(server, tmp_path, capsys)
    assert code == 1
    assert "Connection refused" in err and "0 of 1,024,000 bytes are kept" in err


def test_server_that_never_gets_further_is_given_up_and_the_part_kept(server, tmp_path, capsys):
    server.cut_after = [1000] + [0] * 20
    code, _, err = run(server, tmp_path, capsys)
    assert code == 1
    assert "the connection was closed early; 1,000 of 1,024,000 bytes are kept" in err
    assert len(server.asked) == 1 + resumable.ATTEMPTS
    assert (tmp_path / f"{NAME}.part").read_bytes() == CONTENT[:1000]


def test_part_from_the_wrong_place_is_not_appended(server, tmp_path, capsys):
    server.misplaced_by = 5
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:1000])
    code, _, err = run(server, tmp_path, capsys)
    assert code == 1
    assert "asked for the bytes from 1,000; received those from 1,005" in err


@pytest.mark.parametrize("content", [b"mine", b"?" * len(CONTENT)])
def test_another_file_of_that_name_is_left_alone(server, tmp_path, capsys, content):
    (tmp_path / NAME).write_bytes(content)
    code, _, err = run(server, tmp_path, capsys)
    assert code == 2
    assert re.search("expected .*; received .*; move it away to download the published file", err)
    assert (tmp_path / NAME).read_bytes() == content
    assert server.asked == []


def test_unknown_name_and_the_published_sizes():
    run_from_elsewhere = [sys.executable, str(SCRIPT), "yolov9.weights"]
    result = subprocess.run(run_from_elsewhere, capture_output=True, text=True, cwd="/")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "error: expected names of yolov3.weights, yolov3-tiny.weights, darknet53.conv.74; "
        "received 'yolov9.weights'\n"
    )
    for file in get_weights.FILES.values():
        digits = 2 * hashlib.new(file.algorithm).digest_size
        assert re.fullmatch(f"[0-9a-f]{{{digits}}}", file.checksum)
