"""Check an annotation file and its images without training.

    python tools/check_annotations.py mnist/mnist_train.txt --names mnist/mnist.names

Prints one report: bad lines, then warnings, counted and with the first ten of each kind. Exits with
0 if no line is bad, else with 2. The file is never changed.
"""

import argparse

from yolov3.cli.flags import Parser, config_from_flags, input_size
from yolov3.cli.run import BAD_INPUT, run_script
from yolov3.configs import Config


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(__doc__)
    parser.add_argument("file", help="annotation file, 'image_path xmin,ymin,xmax,ymax,label ...'")
    parser.add_argument("--names", required=True, metavar="FILE", help="class names, one per line")
    network = parser.add_argument_group("network, for objects that share an anchor")
    network.add_argument(
        "--input-size",
        dest="train_input_size",
        type=input_size,
        default=Config.train_input_size,
        metavar="PX",
        help="input width and height (default: %(default)s)",
    )
    network.add_argument("--tiny", action="store_true", help="YOLOv3-tiny")
    network.add_argument(
        "--anchors",
        default=argparse.SUPPRESS,
        metavar="FILE|PRESET",
        help="as for train.py (default: the network's)",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    from yolov3.class_names import read_class_names
    from yolov3.data.annotation_check import check_annotations

    config = config_from_flags(args)
    _, report = check_annotations(args.file, len(read_class_names(args.names)), config)
    print(report)
    return 0 if report.ok else BAD_INPUT


if __name__ == "__main__":
    run_script(main)
