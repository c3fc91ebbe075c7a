"""What workers tell each other, and how they end when one is gone, without TensorFlow."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from script_runs import TIMEOUT_S, environment

from launch import free_ports
from yolov3.configs import REPO
from yolov3.runs.cluster import Cluster
from yolov3.runs.workers import GONE

MEET = """
import json, os, signal, sys, time
import numpy as np
from yolov3.cli.run import run_script
from yolov3.runs import workers as module
from yolov3.runs.workers import join_workers

def main():
    with join_workers(None, None) as workers:
        return work(workers)
"""
SAY = """
def work(workers):
    class Stop:
        requested = workers.index == 1
    stop = workers.agree_on(Stop)
    assert not stop.requested
    indices = workers.exchange(np.full((1, 2), workers.index))
    clocks = workers.gather((workers.clock(), workers.now()))
    said = {"gathered": workers.gather({"index": workers.index}), "chief": workers.from_chief(7)}
    said |= {"indices": indices.tolist(), "stop": stop.requested}
    said["clocks"] = len(set(map(tuple, clocks)))
    said["data"] = [data.decode() for data in workers.to_chief(b"%d" % workers.index)]
    print(json.dumps(said), file=sys.stderr)
    return 0
"""
DIFFER = """
def work(workers):
    workers.check({"code": "same", "TensorFlow": f"2.{workers.index // 2}"})
"""
DIE = """
def work(workers):
    workers.gather("ready")
    if workers.index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # as in a long validation
"""
LATE = """
module.FIRST_NOTE = 0.2
if "index\\": 1" in os.environ["TF_CONFIG"]:
    time.sleep(1)

def work(workers):
    return 0
"""


def run_workers(script, count) -> list[subprocess.CompletedProcess]:
    hosts = tuple(f"127.0.0.1:{port}" for port in free_ports(count))

    def run(index):
        return subprocess.run(
            [sys.executable, "-c", f"{MEET}{script}\nrun_script(main)"],
            env={**environment(), "TF_CONFIG": Cluster(hosts, index).tf_config()},
            cwd=REPO,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_they_hear_what_each_says_and_agree():
    done = run_workers(SAY, 3)
    assert [one.returncode for one in done] == [0] * 3, done
    for index, one in enumerate(done):
        assert one.stdout == ""
        assert json.loads(one.stderr) == {
            "gathered": [{"index": 0}, {"index": 1}, {"index": 2}],
            "chief": 7,
            "indices": [[0, 0], [1, 1], [2, 2]],
            "stop": True,
            "clocks": 1,
            "data": ["0", "1", "2"] if index == 0 else [],
        }


def test_what_differs_is_refused_by_all_in_one_line():
    for one in run_workers(DIFFER, 3):
        assert one.returncode == 2, one
        assert "error: all workers need the same TensorFlow: worker 0 (127.0.0.1:" in one.stderr
        assert ") has 2.0, worker 2 (127.0.0.1:" in one.stderr and one.stderr.count("\n") == 1


def test_when_one_is_killed_all_others_name_it_and_end():
    first, killed, last = run_workers(DIE, 3)
    assert killed.returncode == -signal.SIGKILL
    for one in (first, last):
        assert one.returncode == GONE, one
        assert one.stderr.startswith("failed: worker 1 (127.0.0.1:"), one.stderr
        assert one.stderr.endswith(") is gone; start all workers again, with --resume\n")


def test_one_says_for_whom_it_waits():
    first, _ = run_workers(LATE, 2)
    assert first.returncode == 0, first
    assert "waiting for worker 1 at 127.0.0.1:" in first.stderr
