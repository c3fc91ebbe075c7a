"""What the tests of all formats share."""

import pytest
from format_samples import HEIGHT, NAMES, WIDTH
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b 1,2.jpg"):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / name)
    (tmp_path / "names").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    return tmp_path
