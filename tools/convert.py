"""Convert annotations from one format to another, and drop what cannot be trained on.

    python tools/convert.py --from voc VOC2007/Annotations --to annotations voc.txt --split 0.2
    python tools/convert.py --from coco instances_val2017.json --images val2017 \\
        --to annotations coco_val.txt
    python tools/convert.py --from yolo roboflow/data.yaml --to annotations screws.txt
    python tools/convert.py --from annotations train.txt --from voc more --rename Bolt=bolt \\
        --to yolo labels

format       what --from reads and --to writes
annotations  a text file, 'image_path xmin,ymin,xmax,ymax,label ...', what train.py reads;
             FILE.names beside FILE.txt has the class names, and is written too
voc          a folder of Pascal VOC .xml files, one per image (--from also takes one file, or the
             folder ImageSets/Main: what its train, val and test.txt list is written apart, or
             trainval and test.txt)
coco         a .json file with images, annotations and categories
yolo         a folder of .txt files, one per image, 'class x_centre y_centre width height'
             as fractions of the image; classes.txt in it has the class names. --from also takes
             a data.yaml: train, val and test of it are written apart

Several inputs become one data set: classes of one name are one class, and an image that is in two
of them is written once. The summary says what was dropped and why: images that are missing,
unreadable, of another size than annotated or with a broken box, and crowds of COCO. Exits with 2
for what cannot be read, and nothing is written then. The inputs are never changed.
"""

import argparse
from pathlib import Path

from yolov3.cli.flags import Parser, fraction, integer
from yolov3.cli.run import run_script
from yolov3.text import printable

FORMATS = ("annotations", "voc", "coco", "yolo")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; exit with status 2 for a bad one."""
    parser = Parser(__doc__)
    parser.usage = "%(prog)s --from FORMAT INPUT [--from ...] --to FORMAT OUTPUT [options]"
    what = f"the format, {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, and the file or folder"
    once = "once, or once for each --from in order"
    images = f"folder of the images of voc, coco or yolo (default: near INPUT); {once}"
    names = (
        "file of the classes to keep, in this order (default: all); labels without names of their "
        f"own are named by it; {once}"
    )
    rename = "another name for a class, or that of a class which it joins; may be repeated"
    split = (
        "write two data sets, OUTPUT_train and OUTPUT_test (for voc and yolo OUTPUT/train and "
        "OUTPUT/test), with this fraction of the boxes of each class to test on, as 0.2"
    )
    corners = (
        "what corners in VOC files are. pixels: the first and last pixel, counted from 1, as "
        "in VOC itself (xmin and ymin are one more than in the other formats); edges: the same as "
        "in the other formats, as some tools write them; auto: edges in files that LabelImg wrote, "
        "pixels in all others (default: auto)"
    )
    bad = "skip leaves out annotations that cannot be read, with their images (default: error)"
    overwrite = "replace files of the same name; others in a folder stay"
    add = parser.add_argument
    pair = {"nargs": 2, "required": True, "help": what}
    add("--from", **pair, metavar=("FORMAT", "INPUT"), dest="sources", action="append")
    add("--to", **pair, metavar=("FORMAT", "OUTPUT"), dest="target")
    add("--images", help=images, metavar="DIR", type=Path, action="append", default=[])
    add("--names", help=names, metavar="FILE", type=Path, action="append", default=[])
    add("--rename", help=rename, metavar="OLD=NEW", type=_renaming, action="append", default=[])
    add("--split", help=split, metavar="X", type=fraction)
    add("--seed", help="seed of the split (default: 0)", metavar="K", type=integer, default=0)
    add("--voc-corners", help=corners, choices=("auto", "pixels", "edges"), default="auto")
    add("--bad-files", help=bad, choices=("error", "skip"), default="error")
    add("--overwrite", help=overwrite, action="store_true")
    args = parser.parse_args(argv)
    _check(args, parser)
    return args


def _renaming(text: str) -> tuple[str, str]:
    old, _, new = (part.strip() for part in text.partition("="))
    if not (old and new) or new != printable(new):
        raise argparse.ArgumentTypeError(f"expected OLD=NEW, names of classes; received {text}")
    return old, new


def _check(args: argparse.Namespace, parser: Parser) -> None:
    """End with an error for flags that do not fit each other; give each source its own."""
    for flag, name in [*(("--from", name) for name, _ in args.sources), ("--to", args.target[0])]:
        if name not in FORMATS:
            parser.error(f"{flag}: expected one of {', '.join(FORMATS)}; received {name!r}")
    formats = [name for name, _ in args.sources]
    if args.images and set(formats) == {"annotations"}:
        parser.error("--images: expected --from voc, coco or yolo; received 'annotations'")
    for flag, files in (("--images", args.images), ("--names", args.names)):
        if len(files) not in (0, 1, len(formats)):
            counts = f"once or {len(formats)} times" if len(formats) > 1 else "once"
            parser.error(f"{flag}: expected it {counts}; received {len(files)} times")
        if len(files) < len(formats):  # none, or one for all
            files[:] = (files or [None]) * len(formats)
    if args.split in (0, 1):
        parser.error(f"--split: expected a fraction between 0 and 1; received {args.split:g}")
    if len(dict(args.rename)) < len(set(args.rename)):
        parser.error("--rename: expected one new name for each class; received two")


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from yolov3.formats.conversion import ConversionJob, Source, convert
    from yolov3.formats.voc import Corners

    formats, paths = zip(*args.sources, strict=True)
    sources = list(map(Source, formats, map(Path, paths), args.images, args.names))
    target_format, target = args.target
    corners = None if args.voc_corners == "auto" else Corners[args.voc_corners.upper()]
    same = {name: getattr(args, name) for name in ("split", "seed", "bad_files", "overwrite")}
    job = ConversionJob(sources, Path(target), target_format, dict(args.rename), **same)
    print(convert(job._replace(corners=corners)))
    return 0


if __name__ == "__main__":
    run_script(main)
