"""Download a data set of photographs to data/, and verify it.

    python tools/get_data.py bccd                   blood cells: 364 images, 4,888 boxes, 10 MB
    python tools/get_data.py bccd --from FILE.zip   the same from an archive that you have

The archive is GitHub's of https://github.com/Shenggan/BCCD_Dataset (MIT licence); what counts is
the content of its images, annotations and lists, whose checksum is verified before anything is
written. A data set that is there already is left as it is. Exit codes: 0, 1 (the download failed),
2 (bad input), 130 (Ctrl-C).
"""

import hashlib
import io
import re
import zipfile
from pathlib import Path

from mnist.download import download
from yolov3.cli.flags import Parser
from yolov3.cli.run import run_script
from yolov3.configs import REPO
from yolov3.files import atomic_folder

URLS = {"bccd": "https://github.com/Shenggan/BCCD_Dataset/archive/refs/heads/master.zip"}
# As `checksum` gives them.
CHECKSUMS = {"bccd": "debd2d76b13c300a3999f96a08cbe9ada5f231c3f882f9877a65a01a695872d1"}
# Of the paths in an archive, the part from the folder of a Pascal VOC data set on.
WANTED = re.compile(
    r"(?:.*/)?(Annotations/[^/]+\.xml|JPEGImages/[^/]+\.jpg|ImageSets/Main/[^/]+\.txt)"
)
STALL_S = 60.0


def parse_args(argv=None):
    parser = Parser(__doc__)
    parser.add_argument("name", choices=URLS, metavar="NAME", help=", ".join(URLS))
    parser.add_argument("--url", metavar="URL", help="of an archive (default: GitHub's)")
    text = "archive on this machine, in place of a download"
    parser.add_argument("--from", type=Path, dest="archive", metavar="FILE.zip", help=text)
    text = "folder to save to (default: data in this repository)"
    parser.add_argument("--folder", default=REPO / "data", type=Path, metavar="DIR", help=text)
    return parser.parse_args(argv)


def read_archive(content: bytes) -> dict[str, bytes]:
    """Return the files of a data set in a zip archive, by their paths in the data set.

    Raises ValueError for what is no archive.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            paths = {name: WANTED.fullmatch(name) for name in archive.namelist()}
            return {path[1]: archive.read(name) for name, path in paths.items() if path}
    except Exception as error:  # a damaged archive raises a dozen kinds
        raise ValueError(f"not a readable zip archive: {error}") from None


def checksum(files: dict[str, bytes]) -> str:
    """Return the SHA-256 of the paths and contents of files."""
    whole = hashlib.sha256()
    for path in sorted(files):
        whole.update(f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n".encode())
    return whole.hexdigest()


def fetch(name: str, source: str | Path) -> dict[str, bytes]:
    """Return the files of a data set from an archive. Raises ValueError, for a download OSError."""
    is_here = isinstance(source, Path)
    try:
        files = read_archive(source.read_bytes() if is_here else download(source, stall_s=STALL_S))
        if (received := checksum(files)) != CHECKSUMS[name]:
            what = f"the files of {name} with SHA-256 {CHECKSUMS[name]}"
            raise ValueError(f"expected {what}; received {len(files)} files with {received}")
    except (OSError, ValueError) as error:
        kind = ValueError if is_here else OSError
        raise kind(f"{source}: {getattr(error, 'strerror', None) or error}") from None
    return files


def main(argv=None) -> int:
    args = parse_args(argv)
    target, source = args.folder / args.name, args.archive or args.url or URLS[args.name]
    if target.exists():
        print(f"{target}: there already; move it away to download it anew")
        return 0
    print(f"{args.name}: from {source}", flush=True)
    files = fetch(args.name, source)
    with atomic_folder(target) as folder:
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    print(f"{target}: the checksum is right")
    return 0


if __name__ == "__main__":
    run_script(main)
