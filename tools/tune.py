"""Search for better settings by trials of train.py in a budget of minutes, with Optuna.

    pip install 'optuna>=4.1,<6'
    python tools/tune.py --minutes 60 -- --tiny --train-epochs 4
    python tools/tune.py --minutes 60 --try train_lr_init=0.0003..0.01 --try augment_mosaic=0..1

Flags for train.py follow after `--`, and the first trial is what they say. `--try` names a setting
and the range of what else it may be, which is searched by its logarithm if it ends at ten times its
beginning or more. Each trial is a run, log/NAME/000 and so on. One whose mAP is below the median of
the others after as many epochs is ended, and none begins that may outlast the budget. Checkpoints
are kept of the best trial alone. After Ctrl-C, which costs the trial in hand, or with new minutes
the same command continues the search. Exit codes: 0, 1 (the first trial failed), 2 (bad input),
130 (Ctrl-C).
"""

import contextlib
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

try:
    import optuna
    from sqlalchemy.exc import SQLAlchemyError
except ModuleNotFoundError:
    optuna = None

import train
from tools.compare_runs import read_run
from yolov3.cli.flags import Parser, config_from_flags, number, run_name
from yolov3.cli.run import run_script
from yolov3.configs import REPO, SIZE_MULTIPLE, Config
from yolov3.files import remove_folder

TRIED = ["train_lr_init=0.0003..0.01", "train_warmup_epochs=0.1..1"]
LOGARITHMIC = 10  # times its beginning ends such a range
AT_RANDOM = 5  # trials, before there is something to learn from
PAUSE = 1.0  # seconds between two looks at a trial


def parse_args(argv=None):
    parser = Parser(__doc__)
    parser.add_argument("--minutes", type=number, required=True, metavar="X", help="the budget")
    kind = {"action": "append", "dest": "tried", "metavar": "SETTING=LOW..HIGH"}
    parser.add_argument("--try", help=f"may be repeated (default: {' and '.join(TRIED)})", **kind)
    kind = {"type": run_name, "default": "tune", "metavar": "NAME"}
    parser.add_argument("--name", help="of its folders of runs (default: %(default)s)", **kind)
    parser.add_argument("flags", nargs="*", metavar="-- FLAG", help="flags for train.py")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: train.py ends, too
    args = parse_args(argv)
    if optuna is None:
        raise ValueError("the search needs Optuna: pip install 'optuna>=4.1,<6'")
    given = config_from_flags(train.parse_args(args.flags))
    if taken := {flag.partition("=")[0] for flag in args.flags} & {"--name", "--resume"}:
        raise ValueError(
            f"{min(taken)}: not behind --; a trial is a new run with a name of its own"
        )
    if not given.test_annot_path:
        raise ValueError("--test-annot-path: a search goes by the validation mAP")
    if not 0 <= args.minutes < math.inf:
        raise ValueError(f"--minutes: expected a number of 0 or more; received {args.minutes:g}")
    ends = time.monotonic() + 60 * args.minutes
    space = dict(range_of(text, args.flags, given) for text in args.tried or TRIED)
    log, checkpoints = Path(given.train_logdir, args.name), given.train_checkpoints_folder
    folders = [f"--train-logdir={log}", f"--train-checkpoints-folder={checkpoints}/{args.name}"]

    def run(trial) -> float:
        settings = {name: trial.suggest_float(name, **values) for name, values in space.items()}
        return train_while_good(trial, [*args.flags, *flags_of(settings), *folders], log)

    def tidy(study, trial) -> None:
        """Say how a trial ended; keep the checkpoints of the best; see whether another one fits."""
        reached = "" if trial.value is None else f", mAP {trial.value:.4f}"
        print(f"{run_of(trial)}: {trial.state.name.lower()}{reached}", end=": ")
        print(*flags_of(trial.params), flush=True)
        best, trials = study.best_trials[:1], study.trials
        for other in [one for one in trials if one.state.is_finished() and one not in best]:
            remove_folder(Path(checkpoints, args.name, run_of(other)))
        longest = max(one.duration.total_seconds() for one in trials if one.duration)
        if not best or time.monotonic() + longest > ends:
            study.stop()

    try:
        study = open_study(log, given, space, [args.tried, args.flags])
        study.optimize(run, catch=ChildProcessError, callbacks=[tidy])
    except (SQLAlchemyError, optuna.exceptions.OptunaError, AssertionError) as error:
        what = str(error).partition("\n")[0] or "cannot be written"  # where Optuna only asserts
        raise OSError(f"{log}/study.db: {what}") from None
    if not (best := study.best_trials):
        raise OSError("the first trial was not completed")
    print(f"best: {run_of(best[0])}, mAP {best[0].value:.4f}")
    return 0


def flags_of(settings: dict[str, float]) -> list[str]:
    """Return the flags of train.py that give settings."""
    return [f"--{name.replace('_', '-')}={value:.6g}" for name, value in settings.items()]


def run_of(trial) -> str:
    """Return the name of a trial's run."""
    return f"{trial.number:03d}"


def range_of(text: str, flags: list[str], given: Config) -> tuple[str, dict]:
    """Return a setting and Optuna's keywords for its values, among them the given one.

    Raises ValueError for another setting than a number, and for ends that it may not have.
    """
    name, _, ends = text.partition("=")
    name = name.replace("-", "_")
    value = getattr(given, name, None)
    if ends.count("..") != 1 or type(value) not in (int, float):
        raise ValueError(f"--try: expected NAME=LOW..HIGH of a setting; received {text}")
    flag = f"--{name.replace('_', '-')}="
    tried = [config_from_flags(train.parse_args([*flags, flag + x])) for x in ends.split("..")]
    low, *_, high = sorted([value, *(getattr(config, name) for config in tried)])
    is_whole = Config.__dataclass_fields__[name].type is int
    step = SIZE_MULTIPLE if name == "train_input_size" else 1
    kind = {"step": step} if is_whole else {"log": 0 < LOGARITHMIC * low <= high}
    return name, {"low": low, "high": high, **kind}


def open_study(log: Path, given: Config, space: dict, asked: list):
    """Open the search of a log folder, or begin it with a trial of what is given.

    Raises ValueError if it began with other flags.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    log.mkdir(parents=True, exist_ok=True)
    place = {"storage": f"sqlite:///{log}/study.db", "load_if_exists": True}
    study = optuna.create_study(**place, study_name=log.name, direction="maximize")
    if study.user_attrs.get("asked", asked) != asked:
        raise ValueError(f"{log}: began with other flags; choose another --name")
    study.set_user_attr("asked", asked)
    seed = given.seed + len(study.trials)  # the same one would repeat the trials
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=AT_RANDOM, seed=seed)
    study.pruner = optuna.pruners.MedianPruner(AT_RANDOM)
    if not study.best_trials:
        study.enqueue_trial({name: getattr(given, name) for name in space})
    return study


def train_while_good(trial, flags: list[str], log: Path) -> float:
    """Train a trial as long as it is not below the median; return its best mAP.

    Raises TrialPruned otherwise, and ChildProcessError where train.py fails.
    """
    command = [sys.executable, REPO / "train.py", *flags, f"--name={run_of(trial)}"]
    seen = 0  # validations
    # In a session of its own, which Ctrl-C reaches once, from here.
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        while process.poll() is None:
            time.sleep(PAUSE)
            with contextlib.suppress(ValueError):  # no validation yet
                for row in read_run(log / run_of(trial)).rows[seen:]:
                    trial.report(row["mAP"], round(row["epoch"]))
                    seen += 1
            if seen and trial.should_prune():
                raise optuna.TrialPruned
    finally:
        process.terminate()
        process.wait()
    if process.returncode:
        raise ChildProcessError("train.py has said why")
    return read_run(log / run_of(trial)).best["mAP"]


if __name__ == "__main__":
    run_script(main)
