"""The log of a run: each step once after a resume, and what is said of steps and images."""

import json
import resource
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from small_training import (
    NAMES,
    config_in,
    events_of,
    found_nothing,
    results_of,
    scalars_of,
)

from yolov3.annotations import Record
from yolov3.runs.run_logger import (
    COLUMNS,
    MAX_FILES_NAMED,
    Results,
    RunLogger,
)
from yolov3.runs.tensorboard import LOG_FILES, TensorBoardLog
from yolov3.schedule import TrainingSchedule
from yolov3.training import Outcome

METRICS = {"lr": 1e-3, "gradient_norm": 2.0, "skipped_steps": 0, "finite": True}
METRICS |= dict.fromkeys(("total", "giou", "conf", "prob"), 1.0)
GIGAFLOPS = 5.571  # of YOLOv3-tiny with 80 classes at 416 px, as Darknet prints
BATCH = [np.zeros((1, 64, 64, 3), np.uint8)]


def logger_of(folder, step=0, is_validated=True):
    """Return a logger of 100 epochs of 10 images, one to a step."""
    records = [Record(f"{i}.png", np.zeros((0, 4)), np.zeros(0), i) for i in range(10)]
    config = config_in(folder, train_epochs=100, train_batch_size=1)
    log = TensorBoardLog(folder, step, is_validated)
    strategy = tf.distribute.get_strategy()
    return RunLogger(log, TrainingSchedule(config, 10), records, NAMES, strategy)


def write_session(folder, steps, validated=(), is_validated=True, value=0.0):
    """Log steps as a run does that begins before the first of them."""
    with logger_of(folder, steps[0] - 1, is_validated) as logger:
        if not is_validated:
            validate(logger, steps[0] - 1, value)
        for step in steps:
            metrics = METRICS | {"total": value + step}
            logger.log_step(step, step // 10, metrics, BATCH, np.array([[0, 0]]))
            if step in validated:
                validate(logger, step, value)


def validate(logger, step, value):
    maps = dict.fromkeys(("mAP50", "mAP75", "mAP"), value)
    logger.log_validation(step, METRICS | maps, True, 1.0, found_nothing(["gone.png"]))


def test_each_step_is_there_once_after_a_resume_from_an_earlier_one(tmp_path):
    write_session(tmp_path, range(1, 9), validated=(3, 6))
    [first] = tmp_path.glob(LOG_FILES)
    before = first.read_bytes()
    write_session(tmp_path, range(5, 8), validated=(6,), value=100.0)
    scalars = scalars_of(tmp_path)
    assert scalars["loss/total_loss"] == [(n, n + 100 * (n > 4)) for n in range(1, 8)]
    assert scalars["mAP/mAP"] == [(3, 0), (6, 100)]
    assert first.read_bytes() == before
    write_session(tmp_path, range(2, 4), value=200.0)  # and from a still earlier one
    assert scalars_of(tmp_path)["loss/total_loss"] == [(1, 1), (2, 202), (3, 203)]


def test_a_validation_that_comes_again_is_there_once_and_its_step_is_kept(tmp_path):
    write_session(tmp_path, range(1, 7), validated=(3, 6))
    write_session(tmp_path, range(7, 9), is_validated=False, value=100.0)
    scalars = scalars_of(tmp_path)
    assert scalars["loss/total_loss"] == [(n, n + 100 * (n > 6)) for n in range(1, 9)]
    assert scalars["lr"] == [(n, pytest.approx(1e-3)) for n in range(1, 9)]
    assert scalars["mAP/mAP"] == [(3, 0), (6, 100)]
    assert scalars["validate/unreadable_images"] == [(3, 1), (6, 1)]
    assert [step for tag, step, _ in events_of(tmp_path) if "detections" in tag] == [3, 6]


def test_a_record_that_was_half_written_is_left_out(tmp_path):
    write_session(tmp_path, range(1, 6))
    [path] = tmp_path.glob(LOG_FILES)
    path.write_bytes(path.read_bytes()[:-30])
    write_session(tmp_path, range(5, 7), is_validated=False)
    assert [step for step, _ in scalars_of(tmp_path)["lr"]] == [1, 2, 3, 4, 5, 6]


def test_results_that_come_again_or_were_half_written_are_dropped(tmp_path):
    results, numbers = Results(tmp_path, 1), [0.5] * (len(COLUMNS) - 3)
    for epoch in (1, 2, 3):
        results.add(epoch, 10 * epoch, *numbers)
    before = results.path.read_text().splitlines()
    assert before[0].split(",") == list(COLUMNS) and len(before) == 4
    with results.path.open("a") as stream:
        stream.write("4,40,1.0,0.5")
    assert Results(tmp_path, 41).path.read_text().splitlines() == before
    results.path.write_text(f"{results.path.read_text()}4,31\nrubbish\n")
    resumed = Results(tmp_path, 30)  # the validation after step 30 comes again
    resumed.minutes_before = 7
    resumed.add(3, 30, *numbers)
    rows = [line.split(",") for line in resumed.path.read_text().splitlines()]
    assert [row[1] for row in rows] == ["step", "10", "20", "30"] and float(rows[-1][2]) >= 7
    assert Results(tmp_path, 31).minutes_before == float(rows[-1][2])


def test_operations_count_once_and_by_the_input_size(tmp_path):
    for steps in (range(1, 21), range(16, 31)):  # 10 to an epoch
        with logger_of(tmp_path, steps[0] - 1) as logger:
            logger.class_names = NAMES * 8
            for step in steps:
                if step % 10 == 0:
                    validate(logger, step, 0.5)
    step = 3 * GIGAFLOPS / 1000 * (32 / 416) ** 2
    rows = results_of(tmp_path)
    assert [row["step"] for row in rows] == ["10", "20", "30"]
    expected = pytest.approx([10 * step, 20 * step, 30 * step], rel=2e-3)
    assert [float(row["tflop"]) for row in rows] == expected


@pytest.mark.parametrize("fast", ["true", "false"])
def test_tensorboard_shows_each_step_once(tmp_path, fast):
    write_session(tmp_path / "run", range(1, 9), validated=(6,))
    write_session(tmp_path / "run", range(5, 8), validated=(6,), value=100.0)
    write_session(tmp_path / "run", range(8, 10), is_validated=False, value=200.0)
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", tmp_path, "--port", "0"]
    with open(tmp_path / "errors", "w+") as errors:
        server = subprocess.Popen([*command, f"--load_fast={fast}"], stderr=errors)
        try:
            expected = [(n, n + 100 * (n > 4) + 100 * (n > 7)) for n in range(1, 10)]
            assert shown(errors.name, "loss/total_loss", expected) == expected
            assert shown(errors.name, "mAP/mAP", [(6, 100), (7, 200)]) == [(6, 100), (7, 200)]
        finally:
            server.terminate()
            server.wait()


def shown(stderr, tag, expected):
    """Return what a TensorBoard shows of a tag, when that is what is expected or time is up."""
    deadline, points = time.monotonic() + 90, []
    while points != expected and time.monotonic() < deadline:
        time.sleep(0.5)
        with open(stderr) as stream:
            url = stream.read().partition("at http://")[2].partition("/ ")[0]
        query = urllib.parse.urlencode({"run": "run", "tag": tag})
        try:
            address = f"http://{url}/data/plugin/scalars/scalars?{query}"
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            points = json.load(opener.open(address)) if url else []
            points = [(step, value) for _, step, value in points]
        except urllib.error.URLError:  # not there yet
            continue
    return points


def test_a_full_disk_is_an_os_error_in_one_line(tmp_path):
    log = TensorBoardLog(tmp_path, 0)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))  # of a file, in bytes
    try:
        with pytest.raises(OSError, match="the log cannot be written: File too large$") as error:
            for step in range(1, 100):
                log.scalars(step, {"lr": 1.0})
            log.flush()
        assert str(error.value).startswith(str(tmp_path)) and "\n" not in str(error.value)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        log.close()


def test_a_gradient_norm_that_overflowed_is_left_out(tmp_path):
    with logger_of(tmp_path) as logger:
        metrics = METRICS | {"gradient_norm": np.float32(np.inf)}
        logger.log_step(1, 0, metrics, BATCH, np.array([[0, 0]]))
    assert "train/gradient_norm" not in scalars_of(tmp_path)
    assert len(scalars_of(tmp_path)) == 7


def test_a_skipped_step_counts_as_progress(tmp_path):
    with logger_of(tmp_path) as logger:
        skipped = METRICS | {
            "finite": False,
            "skipped_steps": 1000,
        }  # too many to show their images
        logger.log_step(1, 0, skipped, BATCH, np.array([[0, 0]]))
        assert logger.progress.done == logger.schedule.pixels_before(1)


def test_each_unreadable_file_is_named_once_and_few_of_many(tmp_path, capsys):
    with logger_of(tmp_path) as logger:
        for step, index in enumerate([3, 3, 4], start=1):
            logger.log_step(step, 0, METRICS, BATCH, np.array([[index, index + 1]]))
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "3.png: cannot be read as an image; the next one in the file " + (
            "takes its place"
        )
        assert [line[:6] for line in lines[1:]] == ["4.png:"]
        others = [f"other {n}.png" for n in range(98)]
        logger._log_unreadable(4, "train", others, "gone")
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == MAX_FILES_NAMED - 2
        logger.log_end(3, Outcome.INTERRUPTED, 1)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "1 step of this run skipped: loss or gradient not finite"
    assert said[1] == "100 images could not be read, 101 times in all"
