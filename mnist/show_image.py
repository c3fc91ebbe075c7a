"""Draw the annotated boxes of one image, a random one unless --index picks it.

    python mnist/show_image.py
    python mnist/show_image.py --annotations mnist/mnist_test.txt --index 3 --output scene.png

The image is saved, and shown in a window where there is a screen. Exit codes: 0, 1 (failed), 2
(bad input), 130 (Ctrl-C).
"""

import random
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the command works before anything is installed here

from yolov3.cli.flags import Parser, integer  # noqa: E402
from yolov3.cli.run import run_script  # noqa: E402
from yolov3.inference.window import can_open_window, open_window  # noqa: E402

FOLDER = ROOT / "mnist"


def parse_args(argv=None):
    """Parse the command line; exit with status 2 for a bad one."""
    parser = Parser(__doc__)
    add = parser.add_argument
    file = {"type": Path, "metavar": "FILE"}
    annotations = "annotation file (default: %(default)s)"
    names = "class names, one per line (default: mnist/mnist.names)"
    output = "image to save (default: mnist/show_image.png)"
    add("--annotations", default="mnist/mnist_train.txt", metavar="FILE", help=annotations)
    add("--names", default=FOLDER / "mnist.names", **file, help=names)
    add("--output", default=FOLDER / "show_image.png", **file, help=output)
    index = "which image, 1 is the first (default: random)"
    add("--index", type=integer, metavar="N", help=index)
    add("--no-show", action="store_true", help="open no window")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command; `run_script` turns what it raises into one line and an exit code."""
    args = parse_args(argv)
    from yolov3.annotations import read_annotations
    from yolov3.class_names import read_class_names
    from yolov3.data.annotation_check import existing_file
    from yolov3.draw import draw_boxes
    from yolov3.files import check_outputs
    from yolov3.images import read_image, write_image
    from yolov3.text import counted

    annotations = existing_file(args.annotations)
    class_names = read_class_names(args.names)
    records = read_annotations(annotations, len(class_names))
    index = random.randint(1, len(records)) if args.index is None else args.index
    if not 1 <= index <= len(records):
        raise ValueError(f"{annotations}: expected --index 1 to {len(records)}; received {index}")
    record = records[index - 1]
    check_outputs([args.output], [record.image_path, annotations, args.names], overwrite=True)
    image = read_image(record.image_path)
    drawn = draw_boxes(image, record.boxes_xyxy, record.classes, class_names)
    write_image(args.output, drawn)
    boxes = counted(len(record.classes), "box")
    print(f"image {index} of {annotations}: {record.image_path}, {boxes}")
    print(f"saved {args.output}")
    if not args.no_show and can_open_window():
        open_window(drawn, "annotated boxes")
    return 0


if __name__ == "__main__":
    run_script(main)
