"""Make images with handwritten digits, and their annotations, to train and test on.

    python mnist/make_data.py
    python mnist/make_data.py --mnist mnist.npz --train 5000 --test 500 --seed 1

The digits come from --mnist, else from the copy of MNIST that Keras keeps, else from the published
download, else from scikit-learn, which needs no network. Exit codes: 0, 1 (failed: the disk is
full), 2 (bad input), 130 (Ctrl-C).
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from yolov3.cli.run import run_script  # noqa: E402

TRAIN, TEST = "mnist_train", "mnist_test"
MAX_SIZE = 4096  # pixels
MAX_SCENES = 999_999  # the names of the images have six digits
PROGRESS_EVERY = 100  # scenes


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; exit with status 2 for a bad one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    number = _whole_number(1, MAX_SCENES)
    parser.add_argument(
        "--mnist",
        metavar="PATH",
        help="where the digits are: mnist.npz, a folder of IDX files, "
        "or a folder or zip of images such as 7_00012.png",
    )
    parser.add_argument("--train", type=number, default=1000, metavar="N", help="default 1000")
    parser.add_argument("--test", type=number, default=200, metavar="N", help="default 200")
    parser.add_argument(
        "--size",
        type=_whole_number(1, MAX_SIZE),
        default=416,
        metavar="PX",
        help="width and height of the images, default 416, at least 112",
    )
    parser.add_argument(
        "--seed",
        type=_whole_number(0, 2**32 - 1),
        default=0,
        metavar="K",
        help="the same seed gives the same files, default 0",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "mnist",
        metavar="DIR",
        help="default: the mnist folder of this repository",
    )
    return parser.parse_args(argv)


def make_data(
    output: Path,
    mnist: str | None = None,
    train: int = 1000,
    test: int = 200,
    size: int = 416,
    seed: int = 0,
) -> None:
    """Write `train` and `test` scenes to a folder; nothing there changes unless all were drawn.

    Raises ValueError for bad input, OSError for work that failed.
    """
    from mnist.digits import find_digits
    from mnist.scene_files import SplitWriter

    output = Path(output).expanduser()
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: expected a folder for --output; received a file")
    started = time.perf_counter()
    digits = find_digits(mnist)
    counts = f"{len(digits.train_labels):,} to train and {len(digits.test_labels):,} to test"
    print(f"digits: {digits.source}; {counts}")
    with ExitStack() as stack:
        writers = [stack.enter_context(SplitWriter(output, name)) for name in (TRAIN, TEST)]
        _draw(writers[0], digits.train_images, digits.train_labels, train, size, [seed, 0])
        _draw(writers[1], digits.test_images, digits.test_labels, test, size, [seed, 1])
        for writer in writers:
            left_over = writer.install()
            print(f"wrote {len(writer.lines):,} scenes to {writer.annotations}")
            if left_over:
                print(f"removed {left_over:,} images of an earlier run from {writer.folder}")
    print(f"done in {time.perf_counter() - started:.1f} s; next: python train.py")


def main(argv: list[str] | None = None) -> int:
    """Run the command; `run_script` turns what it raises into one line and an exit code."""
    make_data(**vars(parse_args(argv)))
    return 0


def _draw(writer, images, labels, count: int, size: int, seed: list[int]) -> None:
    import numpy as np

    from mnist.scenes import make_scenes

    scenes = make_scenes(images, labels, count, size, np.random.default_rng(seed))
    writer.draw(_with_progress(scenes, count, writer.folder.name))


def _with_progress(scenes, count: int, name: str):
    """Pass the scenes on and keep one line of a terminal up to date; a log file gets no line."""
    for number, scene in enumerate(scenes, start=1):
        yield scene
        if sys.stdout.isatty() and (number % PROGRESS_EVERY == 0 or number == count):
            end = "\n" if number == count else ""
            print(f"\rdrawing {name}: {number:,} of {count:,}", end=end, flush=True)


def _whole_number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {low} to {high}; received {text!r}"
            )
        return int(text)

    return parse


if __name__ == "__main__":
    run_script(main)
