"""Load the server of tools/web.py: is every request answered rightly, and does memory stay flat?

    python benchmarks/web_load.py --weights checkpoints
    python benchmarks/web_load.py --quick

Of ten requests nine are scenes, answered as when nobody else asks; one is a bad upload, answered
with its 4xx code. Ends with 1 where an answer is missing or another one, or memory grew.
Without --weights the network is an untrained YOLOv3-tiny.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.scenes import NUM_CLASSES, write_scenes
from benchmarks.timing import machine, print_table, versions
from yolov3.cli.run import run_script

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "web.py"
SCENES = 9
GROWTH = 1.05  # of the memory, at most, from the first quarter of the requests to the end
TIMEOUT_S = 300
BAD = {  # what a bad upload is answered with; the PNG is that of a scene, cut off
    "no image": (b"no image", 415),
    "empty": (b"", 415),
    "cut off": (None, 415),
    "too large": (bytes((20 << 20) + 1), 413),
}


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", help="a checkpoint or a folder of them")
    parser.add_argument("--requests", type=int, default=1000, help="default %(default)s")
    parser.add_argument("--at-once", type=int, default=16, help="default %(default)s")
    parser.add_argument("--quick", action="store_true", help="40 requests")
    args = parser.parse_args(argv)
    if args.quick:
        args.requests = 40
    return args


def main(argv=None) -> int:
    args = parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(args.at_once) as pool:
        scenes = [path.read_bytes() for path in images_of(write_scenes(folder, SCENES))]
        with serve(args.weights or untrained(folder)) as (port, process):
            expected = [(200, ask(port, scene)[1]) for scene in scenes]
            started, jobs = time.perf_counter(), []
            for number in range(args.requests):
                jobs.append(pool.submit(ask, port, *upload(number, scenes)))
            quarter, results = args.requests // 4, []
            for job in jobs:
                results.append(job.result())
                if len(results) == quarter:
                    early = megabytes(process.pid)
            seconds, late = time.perf_counter() - started, megabytes(process.pid)
    wrong = sum(
        not is_right(number, status, answer, expected)
        for number, (status, answer, _) in enumerate(results)
    )
    print_results(args, results, wrong, seconds, (early, late))
    return 1 if wrong or late > early * GROWTH else 0


def images_of(annotations) -> list[Path]:
    return sorted(Path(annotations).parent.rglob("*.png"))


def untrained(folder) -> str:
    from yolov3.darknet import save_darknet_weights
    from yolov3.yolov3 import build_yolov3

    save_darknet_weights(build_yolov3(NUM_CLASSES, tiny=True), f"{folder}/tiny.weights")
    return f"{folder}/tiny.weights"


@contextlib.contextmanager
def serve(weights):
    """Start the server; yield its port and process. Raises ValueError if it does not start."""
    command = [sys.executable, str(SCRIPT), "--weights", str(weights), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stdout:
                if match := re.search(r"^open http://127\.0\.0\.1:(\d+)", line):
                    yield int(match[1]), process
                    return
            raise ValueError(f"{SCRIPT}: ended with code {process.wait()}")
        finally:
            process.terminate()


def upload(number: int, scenes) -> tuple[bytes]:
    """Return the body of a request: nine scenes, then one of the bad ones in turn."""
    if number % (SCENES + 1) < SCENES:
        return (scenes[number % (SCENES + 1)],)
    content, _ = bad(number)
    return (scenes[0][:-20] if content is None else content,)


def bad(number: int) -> tuple:
    return next(itertools.islice(BAD.values(), number // (SCENES + 1) % len(BAD), None))


def is_right(number: int, status: int, answer, expected) -> bool:
    if number % (SCENES + 1) < SCENES:
        return (status, answer) == expected[number % (SCENES + 1)]
    return status == bad(number)[1] and "expected an image" in answer["detail"]


def ask(port: int, content: bytes) -> tuple[int, dict, float]:
    """Send an upload; return the status, what the answer holds, and the seconds that it took."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        connection.request("POST", "/detect", content)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), time.perf_counter() - started


def megabytes(pid: int) -> float:
    """Return the memory of a process that is resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def print_results(args, results, wrong, seconds, memory) -> None:
    codes = [status for status, *_ in results]
    waited = sorted(1000 * taken for *_, taken in results)
    rows = [
        ["answered, wrong or lost", f"{len(results):,}, {wrong}"],
        *([f"with {code}", f"{codes.count(code):,}"] for code in sorted(set(codes))),
        ["requests a second", f"{len(results) / seconds:.0f}"],
        ["ms until answered, median", f"{statistics.median(waited):.0f}"],
        ["ms until answered, 99 of 100", f"{waited[len(waited) * 99 // 100]:.0f}"],
        ["MB of memory, after a quarter and at the end", "{:.0f}, {:.0f}".format(*memory)],
    ]
    print_table(f"{args.requests:,} requests, {args.at_once} at once", ["what", "value"], rows)
    print(f"\n{machine()}; {versions('tensorflow', 'gradio', 'uvicorn')}")


if __name__ == "__main__":
    run_script(main)
