"""A small share of `make torture`, and that its harness notices what it is there to notice."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from torture_subjects import misbehave, write_under_a_trap

from tests.torture import annotation_files, disk, isolated, kills, losses, mutations, runs
from tests.torture.processes import REPO, start_process
from tests.torture.trainee import Trap

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and looks at processes")
SEED = 1  # of which the kills come early, so that no run ends before them


@pytest.mark.parametrize(
    "share",
    [{losses: 90}, {annotation_files: 100}, {mutations: 60}, {kills: 2, disk: 1}],
    ids=lambda share: " and ".join(family.__name__.rpartition(".")[2] for family in share),
)
def test_a_share_of_all_faults_is_survived(share, tmp_path):
    runs.prepare(tmp_path)  # not by two families at once
    with ThreadPoolExecutor() as pool:
        futures = [
            pool.submit(family.run, count, SEED, tmp_path) for family, count in share.items()
        ]
        rows = [row for future in futures for row in future.result()]
    assert [row.failures for row in rows] == [()] * len(rows)
    assert sum(row.tried for row in rows) >= sum(share.values())
    assert all(row.tried == row.survived > 0 for row in rows)


# The harness itself


def test_a_bad_reader_is_caught_and_the_next_file_still_examined(tmp_path, monkeypatch):
    monkeypatch.setattr(isolated, "SECONDS_ALLOWED", 3)
    found = dict(isolated.examine(misbehave, [0, 1, 2, 3, 4, 0], tmp_path, SEED))
    assert found.pop(0) == ""
    assert found[1] == "KeyError: 'not a ValueError'"
    assert found[2].startswith("MemoryError")
    assert found[3] == f"the process died with {-signal.SIGSEGV}"
    assert found[4] == "no answer within 3 s"


@pytest.mark.parametrize(
    ("trap", "code", "left"),
    [
        (Trap(1), -signal.SIGKILL, []),
        (Trap(5), -signal.SIGKILL, ["run", "run/renamed"]),
        (Trap(6), 0, ["run"]),
        (Trap(2, limit=1000), -signal.SIGXFSZ, ["run", "run/file"]),
        (Trap(2, limit=1000, kills=False), 1, ["run", "run/file"]),
    ],
)
def test_a_trap_goes_off_at_its_call(tmp_path, trap, code, left):
    process = start_process(write_under_a_trap, tmp_path, trap)
    process.join(60)
    assert process.exitcode == code
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == left


def test_the_command_prints_the_table_and_tells_failure():
    command = [sys.executable, "-m", "tests.torture", "--only", "annotation_files", "--seed=1"]
    done = subprocess.run([*command, "--share=0.001"], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "| hostile annotation file | 10 | 10 |" in done.stdout
