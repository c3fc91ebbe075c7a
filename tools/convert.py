"""Convert annotations from one format to another, and drop what cannot be trained on.

    python tools/convert.py --from voc VOC2007/Annotations --images VOC2007/JPEGImages \\
        --to annotations voc_train.txt
    python tools/convert.py --from coco instances_val2017.json --images val2017 \\
        --to annotations coco_val.txt
    python tools/convert.py --from annotations train.txt --names train.names --to yolo labels

format       what --from reads and --to writes
annotations  a text file, 'image_path xmin,ymin,xmax,ymax,label ...', what train.py reads
voc          a folder of Pascal VOC .xml files, one per image (--from also takes one file)
coco         a .json file with images, annotations and categories
yolo         a folder of .txt files, one per image, 'class x_centre y_centre width height'
             as fractions of the image; classes.txt in it has the class names

The summary says what was dropped and why: images that are missing, unreadable or of another size
than annotated, boxes that are empty or outside, crowds of COCO. Exits with 2 for what cannot be
read, and nothing is written then. The inputs are never changed.
"""

import argparse
from pathlib import Path

from yolov3.cli.flags import Parser
from yolov3.cli.run import run_script

FORMATS = ("annotations", "voc", "coco", "yolo")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line; exit with status 2 for a bad one."""
    parser = Parser(__doc__)
    parser.usage = "%(prog)s --from FORMAT INPUT --to FORMAT OUTPUT [options]"

    def add(flag, text, **kind):
        parser.add_argument(flag, help=text, **kind)

    what = f"the format, {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, and the file or folder"
    images = "folder of the images that INPUT names (default: the folder of INPUT)"
    names = (
        "class names, one per line. From annotations and yolo: the names of the labels. "
        "From voc and coco: the classes to keep, in this order; without it all are kept and, with "
        "--to annotations, their names are written next to OUTPUT, with the extension .names"
    )
    corners = (
        "what corners in VOC files are. pixels: the first and last pixel, counted from 1, as "
        "in VOC itself (xmin and ymin are one more than in the other formats); edges: the same as "
        "in the other formats, as some tools write them; auto: edges in files that LabelImg wrote, "
        "pixels in all others (default: auto)"
    )
    sizes = "take the images' sizes from VOC or COCO and do not open the images"
    overwrite = "replace files of the same name; others in a folder stay"
    pair = {"nargs": 2, "required": True}
    add("--from", what, **pair, metavar=("FORMAT", "INPUT"), dest="source")
    add("--to", what, **pair, metavar=("FORMAT", "OUTPUT"), dest="target")
    add("--images", images, metavar="DIR", type=Path)
    add("--names", names, metavar="FILE", type=Path)
    add("--voc-corners", corners, choices=("auto", "pixels", "edges"), default="auto")
    add("--trust-sizes", sizes, action="store_true")
    add("--overwrite", overwrite, action="store_true")
    args = parser.parse_args(argv)
    for flag, (name, _) in (("--from", args.source), ("--to", args.target)):
        if name not in FORMATS:
            parser.error(f"{flag}: expected one of {', '.join(FORMATS)}; received {name!r}")
    if args.trust_sizes and args.source[0] not in ("voc", "coco"):
        parser.error(f"--trust-sizes: expected --from voc or coco; received {args.source[0]!r}")
    if args.images and args.source[0] == "annotations":
        parser.error("--images: expected --from voc, coco or yolo; received 'annotations'")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from yolov3.formats.conversion import ConversionJob, convert
    from yolov3.formats.voc import Corners

    job = ConversionJob(
        source=Path(args.source[1]),
        source_format=args.source[0],
        target=Path(args.target[1]),
        target_format=args.target[0],
        images=args.images,
        names=args.names,
        corners=None if args.voc_corners == "auto" else Corners[args.voc_corners.upper()],
        trust_sizes=args.trust_sizes,
        overwrite=args.overwrite,
    )
    print(convert(job))
    return 0


if __name__ == "__main__":
    run_script(main)
