"""Workers train as one process does; killed or stopped, they go on as if nothing had happened."""

import os
import shlex
import signal
from pathlib import Path

import numpy as np
import pytest
from page_runs import blocks
from script_runs import TIMEOUT_S, training_flags
from small_training import results_of
from thin_training import SIGNALLED_STEP, train_thin

from launch import free_ports
from tests.torture.processes import start_process
from yolov3.checkpoints import find_checkpoint
from yolov3.configs import REPO
from yolov3.runs.workers import GONE

PAGE = (REPO / "docs" / "several_machines.md").read_text(encoding="utf-8")
EPOCHS, STEPS = 2, 8  # each epoch ends with a validation, which takes longer than its steps


def run(folder: Path, commands, signalled=0, has_norms=True) -> tuple[list[int], str]:
    """Run the workers with these arguments; return their exit codes, and what they said.

    The last one sends itself a signal, if given.
    """
    folder.mkdir(exist_ok=True)
    last = len(commands) - 1
    processes = [
        start_process(train_thin, words, folder, n, signalled if n == last else 0, has_norms)
        for n, words in enumerate(commands)
    ]
    try:
        for process in processes:
            process.join(TIMEOUT_S)
        codes = [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()
    return codes, "".join(path.read_text() for path in sorted(folder.glob("said*.txt")))


def workers(count, *flags) -> list[list[str]]:
    """Return the arguments of workers."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in free_ports(count))
    return [[*flags, f"--worker-hosts={hosts}", f"--worker-index={n}"] for n in range(count)]


def commands_of_the_page(flags) -> list[list[str]]:
    """Return the arguments of those for two terminals, with other flags and free ports."""
    page = PAGE
    for name, port in zip((":2222", ":2223"), free_ports(2), strict=True):
        page = page.replace(name, f":{port}")
    commands = [shlex.split(block) for block in blocks(page, "bash")]
    assert [words[:3] for words in commands] == [["python", "train.py", "--tiny"]] * 2
    return [[*flags, *words[3:]] for words in commands]


def variables(folder: Path, worker: int) -> dict:
    with np.load(folder / f"variables{worker}.npz") as arrays:
        return dict(arrays)


def results(folder: Path) -> list[dict]:
    [log] = (folder / "log").iterdir()
    return results_of(log)


@pytest.fixture(scope="module")
def flags(digit_scenes):
    small = ["--train-input-size=32", "--train-batch-size=2", "--augment-flip=0.5"]
    return [*training_flags(digit_scenes), *small, f"--train-epochs={EPOCHS}"]


@pytest.fixture(scope="module")
def whole(flags, tmp_path_factory) -> Path:
    """Train with two workers as the page says, undisturbed."""
    folder = tmp_path_factory.mktemp("whole")
    codes, said = run(folder, commands_of_the_page(flags))
    assert codes == [0, 0], said
    return folder


def test_all_learn_the_same_and_the_chief_alone_writes_and_speaks(whole):
    first, second = variables(whole, 0), variables(whole, 1)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    assert (whole / "said1.txt").read_text() == ""
    assert [len(os.listdir(whole / name)) for name in ("checkpoints", "log")] == [1, 1]
    assert find_checkpoint(whole / "checkpoints", "last").replicas == 2


def test_a_killed_worker_ends_the_other_and_all_go_on_as_if_nothing_had_happened(
    flags, whole, tmp_path
):
    codes, said = run(tmp_path, workers(2, *flags), signal.SIGKILL)
    assert codes == [GONE, -signal.SIGKILL], said
    last = said.splitlines()[-1]
    assert last.startswith("failed: worker 1 (127.0.0.1:") and "--resume" in last
    assert 0 < find_checkpoint(tmp_path / "checkpoints", "last").step < SIGNALLED_STEP
    codes, said = run(tmp_path, workers(2, "--resume"))
    assert codes == [0, 0], said
    ends = [find_checkpoint(folder / "checkpoints", "last") for folder in (tmp_path, whole)]
    assert [one.step for one in ends] == [STEPS, STEPS]
    for name, value in ends[0].resume_state().items():
        np.testing.assert_array_equal(value, ends[1].resume_state()[name], err_msg=name)


def test_a_signal_to_one_stops_all_and_another_number_learns_the_same(flags, tmp_path):
    alone, many = tmp_path / "alone", tmp_path / "many"
    codes, said = run(alone, [flags], has_norms=False)
    assert codes == [0], said
    codes, said = run(many, workers(2, *flags), signal.SIGTERM, has_norms=False)
    assert codes == [130, 130], said
    stopped = find_checkpoint(many / "checkpoints", "last").step
    assert stopped < STEPS and f"stopped at step {stopped} of {STEPS}, saved" in said
    codes, said = run(many, [["--resume"]], has_norms=False)
    assert codes == [0] and "changed: number of devices (the same images" in said, said
    for one, two in zip(results(alone), results(many), strict=True):
        assert one.keys() == two.keys()
        for name, value in one.items():
            expected = pytest.approx(float(value), rel=1e-3, nan_ok=True)
            assert float(two[name]) == expected, name
