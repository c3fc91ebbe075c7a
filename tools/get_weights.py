"""Download the official Darknet weights to model_data, and verify them.

    python tools/get_weights.py                      all three files, 446 MB
    python tools/get_weights.py yolov3-tiny.weights  one of them

A download that was cut off goes on where it stopped. A file that is there already is only
verified. Exit codes: 0, 1 (a download failed), 2 (bad input), 130 (Ctrl-C; the next run goes on).
"""

import argparse
from pathlib import Path

from resumable import KnownFile, download
from yolov3.cli.run import run_script

MODEL_DATA = Path(__file__).resolve().parents[1] / "model_data"
URL = "https://data.pjreddie.com/files/"
# Sizes and checksums as others publish them, see model_data/README.md.
FILES = {
    file.name: file
    for file in (
        KnownFile(
            "yolov3.weights",
            248_007_048,
            "sha256",
            "523e4e69e1d015393a1b0a441cef1d9c7659e3eb2d7e15f793f060a21b32f297",
        ),
        KnownFile(
            "yolov3-tiny.weights",
            35_434_956,
            "sha256",
            "dccea06f59b781ec1234ddf8d1e94b9519a97f4245748a7d4db75d5b7080a42c",
        ),
        KnownFile(
            "darknet53.conv.74",
            162_482_580,
            "sha512",
            "8983e1c129e2d6e8e3da0cc0781ecb7a07813830ef5a87c24b53100df6a5f23d"
            "b6c6e6a402aec78025a93fe060b75d1958f1b8f7439a04b54a3f19c81e2ae99b",
        ),
    )
}


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"of {', '.join(FILES)} (all)")
    parser.add_argument("--url", default=URL, help="folder on a server that has them (%(default)s)")
    parser.add_argument("--folder", default=MODEL_DATA, type=Path, help="where to (model_data)")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    names = args.files or list(FILES)
    if unknown := [name for name in names if name not in FILES]:
        raise ValueError(f"expected names of {', '.join(FILES)}; received {unknown[0]!r}")
    for name in names:
        url = f"{args.url.rstrip('/')}/{name}"
        if not (args.folder / name).exists():
            print(f"{name}: downloading {FILES[name].size:,} bytes from {url}", flush=True)
        print(f"{download(url, args.folder, FILES[name])}: size and checksum are right", flush=True)
    return 0


if __name__ == "__main__":
    run_script(main)
