"""compare_runs: the table, what tells a difference from seeds, and what is no run."""

import math
import re
import shutil
from pathlib import Path

import pytest

import compare_runs
from yolov3.configs import Config
from yolov3.runs.run_folders import write_origin
from yolov3.runs.run_logger import COLUMNS, MAPS, Results


@pytest.fixture
def run(tmp_path):
    """Return a function that logs a run with an mAP after each epoch."""

    def log(name, *maps, validated_on="b", **settings):
        folder = tmp_path / "log" / name
        folder.mkdir(parents=True)
        config = Config(**{"tiny": True, "train_logdir": str(folder)} | settings)
        write_origin(folder, config, 1000, {"trained_on": "abcdef", "validated_on": validated_on})
        results = Results(folder, 0)
        for epoch, value in enumerate(maps, 1):
            losses = [0.5] * (len(COLUMNS) - 9)
            results.add(epoch, 10 * epoch, 2.5, 416, *losses, value, value / 2, value / 4, 0.3)
        return str(folder)

    return log


def compare(capsys, tmp_path, *arguments):
    """Return the lines that are printed of some runs."""
    output = tmp_path / "curves.png"
    assert compare_runs.main([*arguments, "--output", str(output)]) == 0
    assert output.read_bytes().startswith(b"\x89PNG")
    return capsys.readouterr().out.splitlines()


def test_the_table_has_the_settings_that_differ_and_what_the_runs_took(run, tmp_path, capsys):
    runs = run("slow", 0.25, 0.75, 0.5, train_lr_init=5e-4), run("fast", 0.5, 0.25, 0.9, seed=1)
    lines = compare(capsys, tmp_path, *runs, "--target", "0.8")
    head, fast, slow = [re.split("  +", line) for line in lines[:3]]
    assert head[:7] == "group run network data train_lr_init train_lr_end seed".split()
    assert head[7:] == ["minutes", "TFLOP", "minutes to 0.8", "TFLOP to 0.8", *MAPS, "threshold"]
    assert fast[:4] == ["1", "fast", "yolov3-tiny", "mnist_train 1,000 abcd"]
    assert fast[4:7] == ["0.001", "0.0001", "1"]
    assert fast[7:] == ["0.0", "7.5", "0.0", "7.5", "0.900", "0.450", "0.225", "0.30"]
    assert slow[9:] == ["inf", "inf", "0.750", "0.375", "0.188", "0.30"]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ((0.8, 0.6), (0.4, 0.72), "overlaps with group 1: seeds alone may make the difference"),
        ((0.8,), (0.4,), "all below group 1; with equal settings that happens in 100% of cases"),
        ((0.8, 0.7, 0.9), (0.4, 0.6, 0.5), "with equal settings that happens in 10% of cases"),
    ],
)
def test_groups_are_parted_by_more_than_seeds_or_not(first, second, said, run, tmp_path, capsys):
    for rate, values in ((1e-3, first), (2e-3, second)):
        for seed, value in enumerate(values):
            run(f"{rate:g}-{seed}", value, train_lr_init=rate, seed=seed)
    lines = compare(capsys, tmp_path, str(tmp_path / "log"))[-3:-1]
    assert said in lines[1]
    middle = sorted(second)[len(second) // 2] if len(second) % 2 else sum(second) / 2
    assert f"group 2: median mAP {middle / 4:.3f}" in lines[1]


def test_a_seed_that_was_run_twice_counts_once(run, tmp_path, capsys):
    logs = run("a", 0.8, train_lr_init=2e-3), run("b", 0.4), run("again", 0.4)
    assert compare(capsys, tmp_path, *logs)[-2] == (
        "group 2: median mAP 0.100 (1 seed, 0.100 to 0.100), all below group 1; "
        "with equal settings that happens in 100% of cases"
    )


def test_places_make_no_other_group_but_data_does(run, tmp_path, capsys):
    moved = {"train_annot_path": "moved.txt", "max_minutes": 0.0}  # 0 by default, 0.0 from a file
    here = run("a", 0.8), run("b", 0.8, seed=1, **moved)
    assert "max_minutes" not in compare(capsys, tmp_path, *here)[0]
    assert "(2 seeds, 0.200 to 0.200)" in compare(capsys, tmp_path, *here)[-2]
    other = run("c", 0.1, validated_on="c")
    assert "nobody can compare" in compare(capsys, tmp_path, *here, other)[-2]
    listed = run("d", 0.1, validated_on=["d"])  # data.json written by hand
    assert "nobody can compare" in compare(capsys, tmp_path, *here, listed)[-2]


def test_what_is_no_validated_run_is_left_out(run, tmp_path, capsys):
    log = Path(run("whole", 0.5)).parent
    run("early")
    run("empty", math.nan)
    Path(run("damaged", 0.5), "results.csv").write_text(",".join(COLUMNS) + "\n1,2,x\n")
    Path(run("old", 0.5), "results.csv").write_text("epoch,step\n1,2\n")
    Path(run("odd", 0.5), "data.json").write_text("{}")
    (log / "README.md").write_text("logs\n")
    assert [found.name for found in compare_runs.read_runs([str(log)])] == ["whole"]
    skipped = sorted(capsys.readouterr().err.splitlines())
    why = "damaged, or of an earlier version"
    assert skipped[0].startswith(f"skipped: {log}/damaged: {why}: ValueError(")
    assert skipped[1] == f"skipped: {log}/early: no validation yet"
    assert skipped[2] == f"skipped: {log}/empty: no mAP, as its validation images have no boxes"
    assert skipped[3] == f"skipped: {log}/odd: {why}: KeyError('trained_on')"
    assert skipped[4] == f"skipped: {log}/old: {why}: KeyError('minutes')"
    with pytest.raises(ValueError, match=f"{tmp_path}/none: no logs of runs"):
        compare_runs.main([f"{tmp_path}/none"])


def test_what_a_log_of_an_earlier_version_lacks_is_a_dash(run, tmp_path, capsys):
    results = Path(run("old", 0.25, 0.5), "results.csv")
    run("new", 0.5)
    missing = [COLUMNS.index(name) for name in ("best_threshold", "tflop")]
    rows = [line.split(",") for line in results.read_text().splitlines()]
    for row in rows:
        for index in missing:
            del row[index]
    results.write_text("\n".join(map(",".join, rows)))
    lines = compare(capsys, tmp_path, str(tmp_path / "log"), "--target", "0.4")
    row = next(line for line in lines if " old " in line).split()
    assert row[-6:] == "0.0 - 0.500 0.250 0.125 -".split()


def test_runs_of_one_name_are_kept_apart(run, tmp_path):
    first = Path(run("a", 0.5))
    deeper = shutil.copytree(first, tmp_path / "log" / "demo" / "a")
    names = {found.name for found in compare_runs.read_runs([str(tmp_path), f"{first}/"])}
    assert names == {"a", str(deeper)}


def test_the_kept_checkpoint_is_the_last_of_equals(run):
    assert compare_runs.read_run(Path(run("a", 0.5, 0.5, 0.4))).best["epoch"] == 2
