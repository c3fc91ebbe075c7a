"""Show what is in a data set before a training: annotated images, and statistics of the boxes.

    python tools/show_data.py train.txt --names train.names --output data_look
    python tools/show_data.py train.txt --names train.names --output data_look \\
        --augment-flip 0.5 --augment-scale 0.5 --augment-mosaic 0

Writes images.png and statistics.png to the output folder. Both also show what training would see
with these augmentation flags, those of train.py: by default mosaics, with --augment-mosaic 0 no
more than what is annotated. Sizes are in pixels of the network's input.
"""

import sys
from pathlib import Path

from yolov3.cli import flags
from yolov3.cli.run import run_script

FIGURES = ("images.png", "statistics.png")


def parse_args(argv=None):
    """Parse the command line; exit with status 2 for a bad one."""
    parser = flags.Parser(__doc__)
    flags.add_data_flags(parser)
    output = "folder for the two images"
    seed = "seed of choice and augmentation (default: 0)"
    count = "images on the sheet, chosen at random (default: %(default)s)"
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help=output)
    parser.add_argument("--count", type=flags.positive_int, default=12, metavar="N", help=count)
    parser.add_argument("--seed", type=flags.integer, default=0, metavar="K", help=seed)
    flags.add_config_flags(parser, ["augmentation"])
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    config = flags.config_from_flags(args)
    from yolov3.augment import Augmentation
    from yolov3.class_names import check_numbering, read_class_names
    from yolov3.data.annotation_check import describe_classes
    from yolov3.data.data_plots import contact_sheet, statistics_figure
    from yolov3.data.statistics import augment_boxes, read_sized_annotations, statistics_of
    from yolov3.files import check_outputs
    from yolov3.plots import save_figure
    from yolov3.text import counted, missing_letters

    class_names = read_class_names(args.names)
    records, sizes_wh = read_sized_annotations(args.file, len(class_names))
    settings = Augmentation.of(config)
    statistics = {"annotated": statistics_of(records, sizes_wh, config.train_input_size)}
    if settings != Augmentation():
        changed = augment_boxes(records, sizes_wh, settings, config.seed, config.train_input_size)
        statistics["augmented"] = statistics_of(*changed, config.train_input_size)
    outputs = [args.output / name for name in FIGURES]
    inputs = [args.file, args.names, *(record.image_path for record in records)]
    check_outputs(outputs, inputs, overwrite=True)
    boxes = counted(len(statistics["annotated"].classes), "box")
    print(f"{args.file}: {counted(len(records), 'image')}, {boxes}")
    print(*describe_classes(args.file, records, class_names), sep="\n")
    if note := check_numbering(args.file, class_names, args.names):
        print(note)
    if lack := missing_letters(class_names):
        print(lack, file=sys.stderr)
    sheet = contact_sheet(choose_tiles(records, settings, args), class_names)
    figures = sheet, statistics_figure(statistics, class_names)
    for path, figure in zip(outputs, figures, strict=True):
        save_figure(figure, path, dpi="figure")
        print(f"saved {path}")
    return 0


def choose_tiles(records, settings, args) -> list[tuple]:
    """Read some images; return (title, image, boxes, classes) of each, then of its augmentation.

    Raises ValueError for an image that cannot be read.
    """
    import numpy as np

    from yolov3.augment import Augmentation
    from yolov3.data.statistics import augmented
    from yolov3.images import read_image

    def load(index):
        record = records[index]
        return read_image(record.image_path), record.boxes_xyxy, record.classes

    rng = np.random.default_rng(args.seed)
    chosen = rng.choice(len(records), min(args.count, len(records)), replace=False)
    tiles = []
    for index in sorted(chosen):
        tiles.append((Path(records[index].image_path).name, *load(index)))
        if settings != Augmentation():
            about = settings, args.seed, args.train_input_size
            tiles.append(("augmented", *augmented(index, load, len(records), *about)))
    return tiles


if __name__ == "__main__":
    run_script(main)
