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
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the tutorial's command works before anything is installed here

from yolov3.cli.flags import Parser, integer  # noqa: E402
from yolov3.cli.run import run_script  # noqa: E402

TRAIN, TEST = "mnist_train", "mnist_test"
MAX_SIZE = 4096  # pixels
MAX_SCENES = 999_999  # the names of the images have six digits
MAX_SEED = 2**32 - 1


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; exit with status 2 for a bad one."""
    parser = Parser(__doc__)
    parser.add_argument(
        "--mnist",
        metavar="PATH",
        help="where the digits are: mnist.npz, or a folder of images such as 7_00012.png",
    )
    parser.add_argument("--train", type=integer, default=1000, metavar="N", help="default 1000")
    parser.add_argument("--test", type=integer, default=200, metavar="N", help="default 200")
    parser.add_argument(
        "--size",
        type=integer,
        default=416,
        metavar="PX",
        help="width and height of the images, default 416, at least 112",
    )
    parser.add_argument(
        "--seed",
        type=integer,
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
    from mnist.scenes import MIN_SIZE

    _check_range("--train", train, 1, MAX_SCENES)
    _check_range("--test", test, 1, MAX_SCENES)
    _check_range("--size", size, MIN_SIZE, MAX_SIZE)
    _check_range("--seed", seed, 0, MAX_SEED)
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


def _check_range(flag: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{flag}: expected {low} to {high}; received {value}")


def _draw(writer, images, labels, count: int, size: int, seed: list[int]) -> None:
    import numpy as np

    from mnist.scenes import make_scenes
    from yolov3.cli.progress import track

    scenes = make_scenes(images, labels, count, size, np.random.default_rng(seed))
    batches = track(([scene] for scene in scenes), count, f"drawing {writer.folder.name}")
    writer.draw(scene for [scene] in batches)


if __name__ == "__main__":
    run_script(main)
