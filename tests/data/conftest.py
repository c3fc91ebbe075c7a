"""What the tests of annotation files share."""

import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    """Return a folder with two images of 60 x 40 pixels."""
    for name in ("a b.png", "c.jpg"):
        Image.new("RGB", (60, 40)).save(tmp_path / name)
    return tmp_path
