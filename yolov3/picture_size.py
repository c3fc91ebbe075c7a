"""Width and height of pictures from their headers, for many files at once.

Only the header is read: decoding 100,000 pictures takes minutes, their headers take seconds. A file
that is cut off behind its header is therefore not noticed here; the data pipeline skips it.

Pillow's Python code is most of the work, and threads would take turns in it: eight of them are
slower than one. The work is shared between processes, each of which runs this file as a script.
They are not `multiprocessing` ones, because those fork a process that may have TensorFlow's
threads, or import the caller's script a second time.
"""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from itertools import zip_longest

from PIL import Image

MISSING = "missing picture"
UNREADABLE = "unreadable picture"

# What OpenCV reads as well. The common ones go first: Pillow loads the other plugins on demand.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "WEBP", "TIFF", "JPEG2000")
ORIENTATION = 0x0112  # the EXIF tag
SIDEWAYS = (5, 6, 7, 8)  # its values for a quarter turn; OpenCV turns a picture as it reads it
MAX_WORKERS = 8
PICTURES_PER_WORKER = 2000  # fewer are read sooner than another process starts
BATCH = 256  # pictures between two signs of progress

Size = tuple[int, int]
Fault = tuple[str, str]


def read_size(path: str) -> Size | Fault:
    """Return (width, height) in pixels as OpenCV will read them, or (kind, reason) if it cannot."""
    if not os.path.isfile(path):  # opening a pipe or a device could wait for ever
        exists = os.path.exists(path)
        return (UNREADABLE, "not a regular file") if exists else (MISSING, "no such file")
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            return (height, width) if _is_sideways(image) else (width, height)
    except Image.UnidentifiedImageError:
        return UNREADABLE, "not a known picture format" if os.path.getsize(path) else "empty file"
    except Exception as error:  # a broken header makes Pillow raise nearly anything
        return UNREADABLE, str(error) or type(error).__name__


def _is_sideways(image: Image.Image) -> bool:
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif"))  # image.getexif() would decode a PNG to look for it
    except Exception:  # broken EXIF data are common, and OpenCV ignores them
        return False
    return exif.get(ORIENTATION) in SIDEWAYS


def read_sizes(
    paths: list[str], workers: int | None = None
) -> Iterator[list[tuple[int, Size | Fault]]]:
    """Yield batches of (index into `paths`, `read_size` of it), in any order, until all are done.

    `workers` is a number of processes: 1 stays in this one, None chooses by the number of paths.
    """
    if workers is None:
        workers = min(os.cpu_count() or 1, MAX_WORKERS, len(paths) // PICTURES_PER_WORKER)
    if workers > 1:
        yield from _read_in_processes(paths, workers)
        return
    for start in range(0, len(paths), BATCH):
        yield list(enumerate(_read_batch(paths[start : start + BATCH]), start))


def _read_batch(paths: list[str]) -> list[Size | Fault]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a large picture: it is only looked at, not decoded
        return [read_size(path) for path in paths]


def _read_in_processes(paths: list[str], workers: int) -> Iterator[list]:
    """Give process k the paths k, k + workers, ... and take the batches that they print in turn."""
    command = [sys.executable, "-P", os.path.abspath(__file__)]
    pipe = subprocess.PIPE
    processes = [  # in a session of their own, so that Ctrl-C reaches this process alone
        subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
        for _ in range(workers)
    ]
    try:
        for first, process in enumerate(processes):
            process.stdin.write(json.dumps(paths[first::workers]).encode())
            process.stdin.close()
        for number, lines in enumerate(zip_longest(*[process.stdout for process in processes])):
            for first, line in enumerate(lines):
                if line:
                    start = first + number * BATCH * workers
                    yield [(start + i * workers, tuple(s)) for i, s in enumerate(json.loads(line))]
        for process in processes:
            if process.wait():
                raise RuntimeError(f"reading picture headers failed: exit {process.returncode}")
    finally:
        for process in processes:
            process.kill()
            process.stdout.close()
            process.wait()


def _work() -> None:
    paths = json.load(sys.stdin)
    for start in range(0, len(paths), BATCH):
        print(json.dumps(_read_batch(paths[start : start + BATCH])), flush=True)


if __name__ == "__main__":
    try:
        _work()
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)  # the parent says what there is to say
