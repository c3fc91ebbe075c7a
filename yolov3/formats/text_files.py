"""Text files of annotations: how they are read, and how those of single images are named."""

from collections.abc import Iterable
from pathlib import Path

from yolov3.annotations import UTF8_BOM, read_bytes


def read_text(path: Path) -> str:
    """Read a UTF-8 file with or without a byte-order mark, or raise ValueError naming it."""
    try:
        return read_bytes(path).removeprefix(UTF8_BOM).decode()
    except UnicodeDecodeError as error:
        bad = error.object[error.start : error.start + 8]
        raise ValueError(f"{path}: expected UTF-8 text; received {bad!r}") from None


def image_stems(image_paths: Iterable[str], reserved: str = "") -> list[str]:
    """Return the images' names without ending, which name their annotation files.

    Raises ValueError if two are alike or one is `reserved`: their files would be the same.
    """
    first: dict[str, str] = {}
    for path in image_paths:
        stem = Path(path).stem
        if stem in first or stem == reserved:
            other = first.get(stem, "a file of the format")
            raise ValueError(
                f"{path}: expected a name of its own for its annotation file; "
                f"received {stem!r}, which is that of {other}"
            )
        first[stem] = path
    return list(first)
