"""Download a file of known size and checksum, going on where an earlier attempt was cut off."""

import hashlib
import re
import ssl
import time
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from yolov3.cli.progress import track

CHUNK_BYTES = 2**18
STALL_S = 30.0  # seconds without a byte
ATTEMPTS = 5  # in a row that bring no new byte
PAUSE_S = 2.0  # between attempts
PARTIAL = ".part"  # ends the name until the file is complete and verified
HEADERS = {"User-Agent": "yolov3-get-weights/1.0"}  # some servers refuse Python's own
CONNECTION_ERRORS = (URLError, HTTPException, TimeoutError, ConnectionError, ssl.SSLError)


class KnownFile(NamedTuple):
    """A published file."""

    name: str
    size: int  # bytes
    algorithm: str  # of hashlib
    checksum: str


class AnotherFileError(ConnectionError):
    """The server has another file at this address."""


def download(url: str, folder: Path, file: KnownFile) -> Path:
    """Return the complete, verified file in `folder`; only what is missing is downloaded.

    Raises ValueError where another file of that name is there already, which is left alone, and
    ConnectionError if the server cannot be reached, stops sending or has another file.
    """
    target, partial = folder / file.name, folder / (file.name + PARTIAL)
    if target.exists():
        if difference := find_difference(target, file):
            raise ValueError(f"{target}: {difference}; move it away to download the published file")
        return target
    folder.mkdir(parents=True, exist_ok=True)
    _complete(url, partial, file)
    if difference := find_difference(partial, file):
        partial.unlink()  # else every later attempt would end here
        raise AnotherFileError(f"{url}: {difference}")
    return partial.replace(target)


def find_difference(path: Path, file: KnownFile) -> str:
    """Say how a file differs from the published one, "" if it does not."""
    size = path.stat().st_size
    if size != file.size:
        return f"expected {file.size:,} bytes; received {size:,}"
    with open(path, "rb") as stream:
        checksum = hashlib.file_digest(stream, file.algorithm).hexdigest()
    if checksum != file.checksum:
        return f"expected {file.algorithm} {file.checksum}; received {checksum}"
    return ""


def _complete(url: str, partial: Path, file: KnownFile) -> None:
    """Bring `partial` to the size of the file, over several connections if need be."""
    failures = 0
    while (had := _size(partial)) != file.size:
        try:
            _receive(url, partial, file)
            reason = "the connection was closed early"
        except AnotherFileError:
            raise
        except HTTPError as error:
            raise ConnectionError(f"{url}: {error.code} {error.reason}") from None
        except CONNECTION_ERRORS as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        have = _size(partial)
        failures = 0 if have > had else failures + 1
        if failures == ATTEMPTS:
            raise ConnectionError(
                f"{url}: {reason}; {have:,} of {file.size:,} bytes are kept for the next attempt"
            )
        if have != file.size:
            time.sleep(PAUSE_S)


def _receive(url: str, partial: Path, file: KnownFile) -> None:
    """Receive what is missing, or all of it where the server does not send parts."""
    have = _size(partial)
    if have > file.size:
        partial.unlink()
        have = 0
    headers = HEADERS | ({"Range": f"bytes={have}-"} if have else {})
    with urlopen(Request(url, headers=headers), timeout=STALL_S) as response:
        start, size = _span(response)
        if size not in (None, file.size):
            kind = response.headers.get_content_type()
            raise AnotherFileError(
                f"{url}: expected {file.size:,} bytes; the server offers {size:,} ({kind})"
            )
        if start not in (0, have):
            raise HTTPException(f"asked for the bytes from {have:,}; received those from {start:,}")
        with open(partial, "ab") as stream:
            stream.truncate(start)
            left = file.size - start
            for chunk in track(_chunks(response, left), left, f"{file.name}, bytes"):
                stream.write(chunk)


def _span(response: HTTPResponse) -> tuple[int, int | None]:
    """Return the first byte of an answer, and the size of the whole file if the server tells it."""
    if response.status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers["Content-Range"] or "")
        if match is None:
            raise HTTPException("received a part of the file without its position")
        return int(match[1]), int(match[2])
    length = response.headers["Content-Length"]
    return 0, int(length) if length else None


def _chunks(response: HTTPResponse, left: int) -> Iterator[bytes]:
    while left > 0 and (chunk := response.read(min(CHUNK_BYTES, left))):
        yield chunk
        left -= len(chunk)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
