"""Write files as a whole or not at all, and never over what was read."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

SHOWN_CHARACTERS = 40  # on each side of one that cannot be written


def check_outputs(paths: Iterable[Path], inputs: Iterable[str | Path], overwrite: bool) -> None:
    """Raise ValueError if an output is one of the inputs, or exists and must not be replaced."""
    existing = [path for path in paths if os.path.lexists(path)]
    if not existing:
        return
    if not overwrite:
        raise ValueError(f"{existing[0]}: expected a new file; it exists (see --overwrite)")
    read = {_identity(path) for path in inputs if os.path.exists(path)}
    for path in existing:
        if path.is_dir():
            raise ValueError(f"{path}: expected a file to write; received a folder")
        if path.exists() and _identity(path) in read:
            raise ValueError(f"{path}: expected an output; received a file that is read")


def write_files(folder: Path, texts: dict[str, str]) -> None:
    """Write UTF-8 files by name to a folder, which is made: all are written before one appears.

    Raises OSError if that fails, and ValueError for text with the name of a picture that is not
    UTF-8; files of the same names are then as they were.
    """
    contents = {name: _encode(text, folder / name) for name, text in texts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as hidden:
        for name, content in contents.items():
            Path(hidden, name).write_bytes(content)
        for name in contents:
            os.replace(Path(hidden, name), folder / name)


def _encode(text: str, path: Path) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        near = text[max(0, error.start - SHOWN_CHARACTERS) : error.end + SHOWN_CHARACTERS]
        raise ValueError(f"{path}: expected names in UTF-8; received {near!r}") from None


def _identity(path: str | Path) -> tuple[int, int]:
    status = os.stat(path)  # of what a link leads to
    return status.st_dev, status.st_ino
