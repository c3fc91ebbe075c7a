"""Pack the images of an annotation file into shards, which are uncompressed tar files.

    python tools/pack.py train.txt --output packed
    python train.py --train-annot-path packed/train.txt ...

Writes shard-0001.tar and so on into a new folder, and last the annotation file, in which
`shard-0001.tar#name.jpg 10,20,50,60,0` names an image in a shard. An image that several lines name
is packed once. All lines and images are checked first, and the inputs are not changed.
"""

import tarfile
from pathlib import Path

from yolov3.cli.flags import Parser, positive_int
from yolov3.cli.progress import track
from yolov3.cli.run import run_script
from yolov3.files import atomic_write, require_empty, write_whole
from yolov3.text import counted


def parse_args(argv=None):
    parser = Parser(__doc__)
    parser.add_argument("file", metavar="FILE", help="the annotation file")
    output = "a new folder for the shards and the annotation file"
    parser.add_argument("--output", type=Path, metavar="DIR", required=True, help=output)
    images = "images in each shard (default: 10000)"
    parser.add_argument("--shard-size", type=positive_int, default=10_000, metavar="N", help=images)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from yolov3.annotations import format_line
    from yolov3.data.statistics import read_sized_annotations

    require_empty(args.output)
    target = args.output / Path(args.file).name
    if target.suffix == ".tar":
        raise ValueError(f"{args.file}: an annotation file named as shards are; give it another")
    records, _ = read_sized_annotations(args.file)
    paths = list(dict.fromkeys(records.image_paths))
    starts = range(0, len(paths), args.shard_size)
    places = {}
    for number, start in enumerate(starts, start=1):
        shard, part = f"shard-{number:04}.tar", paths[start : start + args.shard_size]
        with atomic_write(args.output / shard) as partial:
            names = write_shard(partial, track(part, shard, len(part)))
        places |= {path: f"{shard}#{name}" for path, name in zip(part, names, strict=True)}
    lines = [format_line(places[one.image_path], one.boxes_xyxy, one.classes) for one in records]
    write_whole(target, "".join(f"{line}\n" for line in lines).encode())
    print(f"{target}: {counted(len(paths), 'image')} in {counted(len(starts), 'shard')}")
    return 0


def write_shard(target: Path, paths) -> list[str]:
    """Write images into a tar; return their names in it: their own, as far as they differ.

    The same images give the same bytes. Raises OSError.
    """
    from yolov3.shards import base_name, find_image, open_image

    names: dict[str, None] = {}
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in paths:
            place, name = find_image(path), base_name(path)
            member = tarfile.TarInfo(f"{len(names)}/{name}" if name in names else name)
            member.size = place.size
            with open_image(place) as stream:
                tar.addfile(member, stream)
            names[member.name] = None
    return list(names)


if __name__ == "__main__":
    run_script(main)
