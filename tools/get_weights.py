"""Download the official Darknet weights to model_data, and verify them.

    python tools/get_weights.py                      all three files, 446 MB
    python tools/get_weights.py yolov3-tiny.weights  one of them

A file that is there already is only verified. Exit codes: 0, 1 (a download failed), 2 (bad input),
130 (Ctrl-C).
"""

from pathlib import Path

from mnist.download import download, verify
from yolov3.cli.flags import Parser
from yolov3.cli.run import run_script
from yolov3.configs import REPO
from yolov3.files import write_whole

URL = "https://data.pjreddie.com/files/"
STALL_S = 60.0
# As others publish them: see model_data/README.md.
CHECKSUMS = {
    "yolov3.weights": "523e4e69e1d015393a1b0a441cef1d9c7659e3eb2d7e15f793f060a21b32f297",
    "yolov3-tiny.weights": "dccea06f59b781ec1234ddf8d1e94b9519a97f4245748a7d4db75d5b7080a42c",
    "darknet53.conv.74": "8983e1c129e2d6e8e3da0cc0781ecb7a07813830ef5a87c24b53100df6a5f23d"
    "b6c6e6a402aec78025a93fe060b75d1958f1b8f7439a04b54a3f19c81e2ae99b",
}


def parse_args(argv=None):
    parser = Parser(__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help=f"{', '.join(CHECKSUMS)} (all)")
    url = "folder on a server that has them (default: %(default)s)"
    parser.add_argument("--url", default=URL, help=url)
    folder = REPO / "model_data"
    text = "folder to save to (default: model_data in this repository)"
    parser.add_argument("--folder", default=folder, type=Path, metavar="DIR", help=text)
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    names = args.files or list(CHECKSUMS)
    if unknown := [name for name in names if name not in CHECKSUMS]:
        raise ValueError(f"expected names of {', '.join(CHECKSUMS)}; received {unknown[0]!r}")
    for name in names:
        path, url = args.folder / name, f"{args.url.rstrip('/')}/{name}"
        if path.exists():
            try:
                verify(path.read_bytes(), CHECKSUMS[name])
            except ValueError as error:
                advice = "move it away to download the published file"
                raise ValueError(f"{path}: {error}; {advice}") from None
        else:
            print(f"{name}: downloading from {url}", flush=True)
            try:
                write_whole(path, download(url, CHECKSUMS[name], STALL_S))
            except ConnectionError as error:
                raise ConnectionError(f"{url}: {error}") from None
        print(f"{path}: the checksum is right", flush=True)
    return 0


if __name__ == "__main__":
    run_script(main)
