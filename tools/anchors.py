"""Find anchors that fit the boxes of a data set, and compare them with the current ones.

    python tools/anchors.py train.txt
    python tools/anchors.py train.txt --input-size 608 --plot anchors.png

Prints for YOLOv3 and YOLOv3-tiny the share of boxes with an anchor of IoU above 0.5, the mean IoU
of boxes and their best anchors, and the new anchors as yolov3/configs.py has them. Change them
there only if that gains much: weights that were trained with others lose their sense of size.
"""

import argparse
from pathlib import Path

from yolov3 import configs
from yolov3.cli.flags import input_size
from yolov3.cli.run import run_script

NETWORKS = (
    ("YOLOv3", "ANCHORS", configs.ANCHORS),
    ("YOLOv3-tiny", "TINY_ANCHORS", configs.TINY_ANCHORS),
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; exit with status 2 for a bad one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", help="annotation file, 'image_path xmin,ymin,xmax,ymax,label ...'")
    parser.add_argument(
        "--input-size",
        type=input_size,
        default=configs.Config.train_input_size,
        metavar="PX",
        help="input width and height of the network that is to be trained (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="K", help="the same seed finds the same (default: 0)"
    )
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw boxes and anchors here")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    configs.Config(seed=args.seed)  # checks it
    if args.plot and args.plot.suffix.lower() != ".png":
        raise ValueError(f"--plot: expected a name that ends in .png; received {args.plot}")
    from yolov3.cli.progress import counted
    from yolov3.data.anchors import kmeans_anchors, letterboxed_sizes
    from yolov3.data.statistics import read_sized_annotations
    from yolov3.files import check_outputs

    records, sizes_wh = read_sized_annotations(args.file)
    if args.plot:
        inputs = [args.file, *(record.image_path for record in records)]
        check_outputs([args.plot], inputs, overwrite=True)
    boxes_wh = letterboxed_sizes(records, sizes_wh, args.input_size)
    images = counted(len(records), "image")
    print(f"{args.file}: {counted(len(boxes_wh), 'box')} on {images}")
    print(f"best anchors at input size {args.input_size}    share with IoU > 0.5    mean IoU")
    found = []
    for network, name, current in NETWORKS:
        current_wh = [anchor for scale in current for anchor in scale]
        try:
            new_wh = kmeans_anchors(boxes_wh, len(current_wh), args.seed).tolist()
        except ValueError as error:
            raise ValueError(f"{args.file}: {error}") from None
        print_fits(network, boxes_wh, current_wh, new_wh)
        found.append((network, name, current_wh, new_wh))
    print("\nas in yolov3/configs.py:\n")
    for _, name, _, new_wh in found:
        print(config_text(name, new_wh))
    if args.plot:
        save_plot(args.plot, boxes_wh, [(panel[0], *panel[2:]) for panel in found])
    return 0


def print_fits(network: str, boxes_wh, current_wh, new_wh) -> None:
    """Print a line for the current and one for the new anchors."""
    from yolov3.data.anchors import anchor_fit

    for label, anchors_wh in (("current", current_wh), ("new", new_wh)):
        fit = anchor_fit(boxes_wh, anchors_wh)
        print(f"{network + ', ' + label:<32}{fit.recall:>22.1%}{fit.mean_iou:>12.3f}")


def config_text(name: str, anchors_wh: list[list[int]]) -> str:
    """Write anchors, small to large, as the constant of yolov3/configs.py: a line per scale."""
    per_scale = configs.ANCHORS_PER_SCALE
    scales = [anchors_wh[i : i + per_scale] for i in range(0, len(anchors_wh), per_scale)]
    rows = [", ".join(f"({width}, {height})" for width, height in scale) for scale in scales]
    return "\n".join([f"{name} = (", *(f"    ({row})," for row in rows), ")"])


def save_plot(path: Path, boxes_wh, panels: list[tuple]) -> None:
    """Draw boxes and anchors to a PNG file."""
    from yolov3.data.data_plots import anchor_figure

    path.parent.mkdir(parents=True, exist_ok=True)
    anchor_figure(boxes_wh, panels).savefig(path)
    print(f"\nsaved {path}")


if __name__ == "__main__":
    run_script(main)
