"""Find anchors that fit the boxes of a data set, and compare them with the network's own.

    python tools/anchors.py train.txt
    python tools/anchors.py train.txt --tiny --output anchors.json    # for: train.py --tiny
    python tools/anchors.py train.txt --input-size 608 --plot anchors.png

Prints for YOLOv3 and YOLOv3-tiny the percentage of boxes with an anchor of IoU above 0.5 and the
mean IoU of boxes and their best anchors. `train.py --anchors anchors.json` trains with new ones. Do
that only if they gain much: weights that were trained with other anchors do not fit them.
"""

import json
from pathlib import Path

from yolov3.cli.flags import Parser, add_data_flags, integer
from yolov3.cli.run import run_script
from yolov3.configs import ANCHORS, ANCHORS_PER_SCALE, SEED, TINY_ANCHORS
from yolov3.files import check_outputs, write_whole
from yolov3.text import counted

NETWORKS = {"YOLOv3": ANCHORS, "YOLOv3-tiny": TINY_ANCHORS}


def parse_args(argv=None):
    parser = Parser(__doc__)
    add_data_flags(parser, names=False)
    parser.add_argument("--tiny", action="store_true", help="--output gets those of YOLOv3-tiny")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the new anchors here")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw boxes and anchors here")
    parser.add_argument("--seed", type=integer, default=0, metavar="K", help="seed of k-means")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    SEED.check("seed", args.seed)
    if args.plot and args.plot.suffix.lower() != ".png":
        raise ValueError(f"--plot: expected a name that ends in .png; received {args.plot}")
    from yolov3.data.anchors import letterboxed
    from yolov3.data.statistics import read_sized_annotations

    records, sizes_wh = read_sized_annotations(args.file)
    inputs = [args.file, *(record.image_path for record in records)]
    check_outputs([path for path in (args.output, args.plot) if path], inputs, overwrite=True)
    boxes_wh = letterboxed(records, sizes_wh, args.train_input_size).sizes_wh
    print(f"{args.file}: {counted(len(boxes_wh), 'box')} on {counted(len(records), 'image')}")
    print(f"best anchors at input size {args.train_input_size}    boxes with IoU > 0.5    mean IoU")
    chosen = "YOLOv3-tiny" if args.tiny else "YOLOv3"
    panels = find_anchors(boxes_wh, args, chosen)
    print()
    for network, _, new_wh in panels:
        print(f"{network}: " + "  ".join(f"{width}x{height}" for width, height in new_wh))
    if args.output:
        [chosen_wh] = [new_wh for network, _, new_wh in panels if network == chosen]
        write_anchors(args.output, chosen_wh)
        network = "--tiny " if args.tiny else ""
        print(f"saved {args.output}; use it: train.py {network}--anchors {args.output}")
    if args.plot:
        from yolov3.data.data_plots import anchor_figure
        from yolov3.plots import save_figure

        save_figure(anchor_figure(boxes_wh, panels), args.plot)
        print(f"saved {args.plot}")
    return 0


def find_anchors(boxes_wh, args, chosen: str) -> list[tuple[str, list, list]]:
    """Return (network, current anchors, new ones) of each, and print how well they fit.

    Raises ValueError if the boxes have too few sizes for the network that is `chosen`.
    """
    from yolov3.data.anchors import anchor_fit, kmeans_anchors

    panels = []
    for network, usual in NETWORKS.items():
        usual_wh = [anchor for scale in usual for anchor in scale]
        try:
            new_wh = kmeans_anchors(boxes_wh, len(usual_wh), args.seed).tolist()
        except ValueError as error:
            if network == chosen:
                raise ValueError(f"{args.file}: {error}") from None
            continue
        for label, sizes in (("current", usual_wh), ("new", new_wh)):
            fit = anchor_fit(boxes_wh, sizes)
            print(f"{network + ', ' + label:<32}{fit.recall:>22.1%}{fit.mean_iou:>12.3f}")
        panels.append((network, usual_wh, new_wh))
    return panels


def write_anchors(path: Path, anchors_wh: list[list[int]]) -> None:
    """Write anchors, small to large, as the JSON that `cli.flags.read_anchors` reads."""
    starts = range(0, len(anchors_wh), ANCHORS_PER_SCALE)
    per_scale = [anchors_wh[start : start + ANCHORS_PER_SCALE] for start in starts]
    write_whole(path, (json.dumps({"anchors": per_scale}) + "\n").encode())


if __name__ == "__main__":
    run_script(main)
