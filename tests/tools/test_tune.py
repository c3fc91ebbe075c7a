"""tune: trials of a stand-in for train.py, which learns nothing in no time, and a real one."""

import functools
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from script_runs import TIMEOUT_S, exit_code, refusal, training_flags, write

import tune
from tools.compare_runs import read_runs
from yolov3.configs import REPO, Config

# Its mAP grows with each epoch, up to 100 times the learning rate; above 0.005 it diverges.
TRAINER = """import sys, time
from pathlib import Path
from tools.compare_runs import COLUMNS
from yolov3.cli.flags import Parser, add_config_flags, config_from_flags

parser = Parser("")
parser.add_argument("--name")
add_config_flags(parser)
args = parser.parse_args()
config = config_from_flags(args)
log, checkpoints = Path(config.train_logdir), Path(config.train_checkpoints_folder)
for folder in (log / args.name, checkpoints / args.name / "last-000001"):
    folder.mkdir(parents=True)
log /= args.name
(log / "config.json").write_text(config.to_json())
(log / "data.json").write_text('{"images": 8, "trained_on": "a", "validated_on": "b"}')
with (log / "results.csv").open("w", buffering=1) as stream:
    print(*COLUMNS, sep=",", file=stream)
    if config.train_lr_init > 0.005:
        sys.exit("diverged")
    for epoch in range(1, config.train_epochs + 1):
        row = {"epoch": epoch, "mAP": 100 * config.train_lr_init * epoch / config.train_epochs}
        print(*(row.get(name, 1) for name in COLUMNS), sep=",", file=stream)
        time.sleep(0.1)
"""


@pytest.fixture
def search(tmp_path, monkeypatch):
    """Return a function that searches with the stand-in, in the current folder."""
    pytest.importorskip("optuna", reason="Optuna is not installed: requirements-dev.txt has it")
    (tmp_path / "stand-in").mkdir()
    (tmp_path / "stand-in" / "train.py").write_text(TRAINER)
    monkeypatch.setattr(tune, "REPO", tmp_path / "stand-in")
    monkeypatch.setattr(tune, "PAUSE", 0.02)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPO))
    return lambda minutes, *flags: tune.main([f"--minutes={minutes}", *flags])


def limit(trials, monkeypatch):
    """Have a search end after some trials."""
    from optuna import Study

    optimize = Study.optimize
    monkeypatch.setattr(Study, "optimize", functools.partialmethod(optimize, n_trials=trials))


def test_the_best_is_found_and_its_checkpoint_kept(search, monkeypatch, capsys):
    limit(12, monkeypatch)
    assert search(5, "--try=train-lr-init=0.0003..0.01") == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert lines[0] == "000: complete, mAP 0.1500: --train-lr-init=0.0015"
    ends = [line.split(": ")[1].split(",")[0] for line in lines]
    assert len(ends) == 12 and {"complete", "pruned", "fail"} == set(ends)
    rates = [float(line.rpartition("=")[2]) for line in lines]
    assert all((end == "fail") == (rate > 0.005) for end, rate in zip(ends, rates, strict=True))
    best = max(range(12), key=lambda trial: (rates[trial] <= 0.005, rates[trial]))
    assert last == f"best: {best:03d}, mAP {100 * rates[best]:.4f}"
    assert [folder.name for folder in Path("checkpoints/tune").iterdir()] == [f"{best:03d}"]
    runs = {int(run.name): run for run in read_runs(["log/tune"])}
    assert len(runs) == 12 - ends.count("fail")
    assert runs[best].config.train_lr_init == rates[best]
    epochs = runs[best].config.train_epochs
    assert len(runs[ends.index("pruned")].rows) < epochs == len(runs[best].rows)


def test_a_search_goes_on_with_other_trials_and_ends_in_time(search, capsys):
    assert search(0) == 0  # at least one
    assert capsys.readouterr().out.startswith("000: complete, mAP 0.1500")
    started = time.monotonic()
    assert search(0.1) == 0
    assert time.monotonic() - started < 6 + 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("001: ") and "mAP 0.1500" not in lines[0]


def test_a_search_whose_first_trial_fails_ends(search, capfd):
    assert exit_code(lambda argv: search(*argv), [0, "--", "--train-lr-init=0.006"]) == 1
    assert capfd.readouterr().err == "diverged\nfailed: the first trial was not completed\n"


def test_a_damaged_search_is_named(search, tmp_path, capfd):
    (tmp_path / "log" / "tune").mkdir(parents=True)
    write(tmp_path / "log" / "tune" / "study.db", "no database, whatever its name says " * 99)
    assert exit_code(lambda argv: search(*argv), [0]) == 1
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith("failed: log/tune/study.db: ") and "not a database" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_trial_in_hand(number, search, tmp_path):
    code = f"import pathlib, tune; tune.REPO = pathlib.Path({str(tmp_path / 'stand-in')!r}); "
    code += "from yolov3.cli.run import run_script; run_script(tune.main)"
    command = [sys.executable, "-c", code, "--minutes=5", "--", "--train-epochs=99"]
    paths = {"PYTHONPATH": ":".join([str(REPO / "tools"), str(REPO), *sys.path])}
    process = subprocess.Popen(command, env=paths, stderr=subprocess.PIPE, text=True)
    results = tmp_path / "log" / "tune" / "000" / "results.csv"
    while process.poll() is None and not results.exists():
        time.sleep(0.1)
    process.send_signal(number)
    assert process.communicate(timeout=TIMEOUT_S)[1] == "interrupted\n"
    assert process.returncode == 130
    rows = results.read_text()
    time.sleep(0.3)
    assert results.read_text() == rows  # nobody trains any more


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--try=foo=1..2"], "--try: expected NAME=LOW..HIGH of a setting; received foo=1..2"),
        (["--try=seed=5"], "--try: expected NAME=LOW..HIGH of a setting; received seed=5"),
        (
            ["--try=seed=5..6..7"],
            "--try: expected NAME=LOW..HIGH of a setting; received seed=5..6..7",
        ),
        (["--", "--test-annot-path="], "--test-annot-path: a search goes by the validation mAP"),
        (["--try=tiny=0..1"], "--try: expected NAME=LOW..HIGH of a setting; received tiny=0..1"),
        (["--minutes=nan"], "--minutes: expected a number of 0 or more; received nan"),
        (["--minutes=-5"], "--minutes: expected a number of 0 or more; received -5"),
        (["--", "--name=x"], "--name: not behind --; a trial is a new run with a name of its own"),
        (["--try=train_lr_init=0..1"], "train_lr_init: expected more than 0; received 0.0"),
        (["--", "--tiny"], "log/tune: began with other flags; choose another --name"),
    ],
)
def test_what_cannot_be_searched_is_refused(flags, said, search, capfd):
    assert search(0) == 0
    assert refusal(capfd, tune.main, ["--minutes=1", *flags]) == f"error: {said}"


def test_sizes_are_multiples_of_32():
    kind = {"low": 64, "high": 416, "step": 32}  # with that of the first trial, 416
    assert tune.range_of("train-input-size=64..128", [], Config()) == ("train_input_size", kind)


def test_without_optuna_it_says_what_to_install(monkeypatch, capfd):
    monkeypatch.setattr(tune, "optuna", None)
    said = "error: the search needs Optuna: pip install 'optuna>=4.1,<6'"
    assert refusal(capfd, tune.main, ["--minutes=1"]) == said


def test_trials_are_runs_of_train_py(digit_scenes, tmp_path, monkeypatch):
    """A process of its own, with TensorFlow, so this takes a while."""
    pytest.importorskip("optuna", reason="Optuna is not installed: requirements-dev.txt has it")
    monkeypatch.chdir(tmp_path)
    flags = [*training_flags(digit_scenes), "--train-epochs=2"]
    assert tune.main(["--minutes=0", "--try=train_batch_size=1..4", "--", *flags]) == 0
    [run] = read_runs(["log/tune"])
    assert (run.name, run.config.train_batch_size, len(run.rows)) == ("000", 4, 2)
    assert any(Path("checkpoints/tune/000").glob("best-*"))
