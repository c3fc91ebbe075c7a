"""A small share of `make torture`, and that its harness notices what it is there to notice."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from torture_subjects import misbehave, write_under_a_trap

from tests.torture import annotation_files, disk, isolated, kills, losses, mutations, runs
from tests.torture.mutants import mutate, mutate_json
from tests.torture.processes import REPO, start_process
from tests.torture.runs import difference
from tests.torture.table import Row, markdown_table, row_of
from tests.torture.trainee import Trap

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and looks at processes")
SEED = 1  # of which the kills come early, so that no run ends before them


@pytest.mark.parametrize(
    "share",
    [{losses: 90}, {annotation_files: 100}, {mutations: 60}, {kills: 2, disk: 1}],
    ids=lambda share: " and ".join(family.__name__.rpartition(".")[2] for family in share),
)
def test_a_share_of_all_faults_is_survived(share, tmp_path):
    ticks = []
    runs.prepare(tmp_path)  # not by two families at once
    with ThreadPoolExecutor() as pool:
        futures = [
            pool.submit(family.run, count, SEED, tmp_path, lambda: ticks.append(1))
            for family, count in share.items()
        ]
        rows = [row for future in futures for row in future.result()]
    assert [row.failures for row in rows] == [()] * len(rows)
    assert sum(row.tried for row in rows) >= sum(share.values()) == len(ticks)
    assert all(row.tried == row.survived > 0 for row in rows)


# The harness itself


def test_a_bad_reader_is_caught_and_the_next_file_still_examined(tmp_path, monkeypatch):
    monkeypatch.setattr(isolated, "SECONDS_ALLOWED", 3)
    here = tmp_path / "here"
    found = dict(isolated.examine(misbehave, [0, 1, 2, 3, 4, 5, 6, 0], here, SEED))
    assert found.pop(0) == ""
    assert found[1] == "KeyError: 'not a ValueError'"
    assert found[2].startswith("PermissionError: the reader tried open ")
    assert found[3].startswith("PermissionError: the reader tried subprocess.Popen ")
    assert found[4].startswith("MemoryError")
    assert found[5] == f"the process died with {-signal.SIGSEGV}"
    assert found[6] == "no answer within 3 s"
    assert not (tmp_path / "outside.txt").exists()


@pytest.mark.parametrize(
    ("trap", "code", "left"),
    [
        (Trap(1), -signal.SIGKILL, []),
        (Trap(2), -signal.SIGKILL, ["run"]),
        (Trap(3), -signal.SIGKILL, ["run", "run/file"]),
        (Trap(4), -signal.SIGKILL, ["run", "run/file"]),
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


@pytest.mark.parametrize(
    ("damage", "whole"),
    [(mutate, bytes(range(256)) * 4), (mutate_json, '{"a": [1, {"b": "c"}], "d": {"e": 0.5}}')],
)
def test_damage_is_real_and_the_same_for_the_same_seed(damage, whole):
    once, again = (
        [damage(whole, np.random.default_rng([SEED, i])) for i in range(200)] for _ in range(2)
    )
    assert once == again
    assert sum(damaged != whole for damaged in once) > 190
    assert len(set(once)) > 100


def test_a_difference_is_named():
    expected = {"model": "abc", "log/lr": [[1, "0.5"], [2, "0.25"]]}
    assert difference(expected, dict(expected)) == ""
    assert difference({**expected, "model": "abd"}, expected) == "model: expected abc; received abd"
    longer = {**expected, "log/lr": [*expected["log/lr"], [2, "0.25"]]}
    assert difference(longer, expected) == "log/lr[2]: expected None; received [2, '0.25']"
    assert difference({"model": "abc"}, expected).startswith("log/lr: expected [[1, '0.5']")


def test_the_table():
    rows = [row_of("a kill", ["", "", "late"], "a note"), Row("other", 1000, 1000)]
    assert rows[0] == Row("a kill", 3, 2, "a note", ("late",))
    assert markdown_table(rows).splitlines() == [
        "| fault | tried | survived | note |",
        "| --- | ---: | ---: | --- |",
        "| a kill | 3 | 2 | a note |",
        "| other | 1,000 | 1,000 |  |",
        "| all | 1,003 | 1,002 |  |",
    ]


def test_the_command_prints_the_table_and_tells_failure():
    command = [sys.executable, "-m", "tests.torture", "--only", "annotation_files", "--seed=1"]
    done = subprocess.run([*command, "--share=0.001"], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "| hostile annotation file | 10 | 10 |" in done.stdout
