"""Make images with handwritten digits, and their annotations, to train and test on.

    python mnist/make_data.py
    python mnist/make_data.py --mnist mnist.npz --train 5000 --test 500 --seed 1

The digits come from --mnist, else from the copy of MNIST that Keras keeps, else from the published
download, else from scikit-learn, which needs no network. Exit codes: 0, 1 (failed: the disk is
full), 2 (bad input), 130 (Ctrl-C).
"""

import sys
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the tutorial's command works before anything is installed here

from yolov3.cli.flags import Parser, integer  # noqa: E402
from yolov3.cli.run import run_script  # noqa: E402

TRAIN, TEST = "mnist_train", "mnist_test"
NUMBERS = {  # flags: default, lowest, highest and meaning
    "train": (1000, 1, 999_999, "images to train on"),  # their names have six digits
    "test": (200, 1, 999_999, "images to test on"),
    "size": (416, 112, 4096, "width and height of an image; the largest digit has 112 pixels"),
    "seed": (0, 0, 2**32 - 1, "the same seed gives the same files"),
}


def parse_args(argv=None):
    """Parse the command line; exit with status 2 for a bad one."""
    parser = Parser(__doc__)
    parser.add_argument("--mnist", metavar="FILE", help="mnist.npz, as Keras has it")
    for name, (default, _, _, text) in NUMBERS.items():
        help_text = f"{text} (default: {default})"
        parser.add_argument(f"--{name}", type=integer, default=default, metavar="N", help=help_text)
    output = "folder to write to (default: mnist in this repository)"
    parser.add_argument("--output", type=Path, default=ROOT / "mnist", metavar="DIR", help=output)
    return parser.parse_args(argv)


def make_data(
    output: Path, mnist: str | None, train: int, test: int, size: int, seed: int = 0
) -> None:
    """Write `train` and `test` scenes to a folder; nothing there changes unless all were drawn.

    Raises ValueError for bad input, OSError for work that failed.
    """
    from mnist.digits import find_digits
    from mnist.scene_files import SplitWriter

    for name, value in (("train", train), ("test", test), ("size", size), ("seed", seed)):
        _, low, high, _ = NUMBERS[name]
        if not low <= value <= high:
            raise ValueError(f"--{name}: expected {low} to {high}; received {value}")
    started = time.perf_counter()
    digits = find_digits(mnist)
    counts = f"{len(digits.train_labels):,} to train and {len(digits.test_labels):,} to test"
    print(f"digits: {digits.source}; {counts}")
    with ExitStack() as stack:
        train_set, test_set = (stack.enter_context(SplitWriter(output, x)) for x in (TRAIN, TEST))
        _draw(train_set, digits.train_images, digits.train_labels, train, size, [seed, 0])
        _draw(test_set, digits.test_images, digits.test_labels, test, size, [seed, 1])
        for writer in (train_set, test_set):
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
    from yolov3.cli.progress import track

    scenes = make_scenes(images, labels, count, size, np.random.default_rng(seed))
    writer.draw(track(scenes, f"drawing {writer.folder.name}", count))


if __name__ == "__main__":
    run_script(main)
