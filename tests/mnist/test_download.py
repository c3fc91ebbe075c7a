"""The download of MNIST: verified, and given up early."""

import hashlib

import pytest
from digit_samples import npz_bytes

from mnist.download import download


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"content": npz_bytes() + b"1"}, "expected sha256"),
        ({"content": npz_bytes()[:-1], "announced": len(npz_bytes())}, "expected sha256"),
        ({"content": b"gone", "status": 404}, "HTTP Error 404"),
        ({"content": npz_bytes(), "wait_s": 1.0}, r"nothing received for 0\.2 s|timed out"),
    ],
)
def test_a_failed_download_says_why(serve, answer, reason):
    with pytest.raises(ConnectionError, match=reason):
        download(serve(**answer).url, sha256(npz_bytes()), stall_s=0.2)
