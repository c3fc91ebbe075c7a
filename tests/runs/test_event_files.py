"""The log of a resumed run: later events move out, all others stay, nothing is half written."""

import resource

import numpy as np
import pytest
import tensorflow as tf
from small_training import scalars_of

from yolov3.runs import event_files
from yolov3.runs.event_files import undo_events_after
from yolov3.runs.summaries import Summaries

METRICS = {"lr": 1e-3, "gradient_norm": 2.0, "skipped_steps": 0}
METRICS |= dict.fromkeys(("total", "giou", "conf", "prob"), 1.0)


def write_log(folder, steps):
    """Log steps and close; return the new event file."""
    before = set(folder.glob("*"))
    summaries = Summaries(folder)
    for step in steps:
        summaries.step(step, METRICS | {"total": 10.0 * step})
    summaries.close()
    [path] = set(folder.glob("*")) - before
    return path


def test_later_events_are_moved_to_a_file_of_their_own(tmp_path):
    first = write_log(tmp_path, range(1, 6))
    untouched = write_log(tmp_path, [2]).read_bytes()
    undo_events_after(tmp_path, 3)
    assert [step for step, _ in scalars_of(tmp_path)["loss/total_loss"]] == [1, 2, 2, 3]
    [undone] = tmp_path.glob("undone-*")
    assert undone.name == "undone-000003." + first.name.removeprefix("events.out.tfevents.")
    records = tf.data.TFRecordDataset(str(undone)).as_numpy_iterator()
    events = [tf.compat.v1.Event.FromString(record) for record in records]
    assert sorted({event.step for event in events}) == [4, 5]
    assert len(events) == 2 * len(METRICS)
    assert untouched in {path.read_bytes() for path in tmp_path.glob("events*")}
    assert not list(tmp_path.glob(".*"))


def test_a_validation_that_comes_again_is_moved_too(tmp_path):
    summaries = Summaries(tmp_path)
    for step in (1, 2):
        summaries.step(step, METRICS)
        metrics = METRICS | dict.fromkeys(("AP50", "AP75", "AP"), 0.5)
        summaries.validation(step, metrics, np.zeros((1, 8, 8, 3), np.uint8))
        summaries.unreadable_images("validate", step, 1)
    summaries.close()
    undo_events_after(tmp_path, 2, is_validated=True)
    assert {len(points) for points in scalars_of(tmp_path).values()} == {2}
    undo_events_after(tmp_path, 2, is_validated=False)
    left = {tag: [step for step, _ in points] for tag, points in scalars_of(tmp_path).items()}
    assert left["lr"] == left["loss/total_loss"] == [1, 2]
    assert left["mAP/AP"] == left["validate_loss/total_val"] == [1]
    assert left["validate/unreadable_images"] == [1]


def test_a_log_without_later_events_is_not_written_to(tmp_path):
    path = write_log(tmp_path, range(1, 4))
    before = path.read_bytes(), path.stat().st_mtime_ns
    (tmp_path / "notes.txt").write_text("mine")
    undo_events_after(tmp_path, 3)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert sorted(tmp_path.iterdir()) == sorted([path, tmp_path / "notes.txt"])


@pytest.mark.parametrize("lost", [1, 10, 30])
def test_a_record_that_was_half_written_is_left_out(tmp_path, lost):
    path = write_log(tmp_path, range(1, 6))
    path.write_bytes(path.read_bytes()[:-lost])
    undo_events_after(tmp_path, 4)
    scalars = scalars_of(tmp_path)  # raises where a record is damaged
    assert {tag: [step for step, _ in scalars[tag]] for tag in ("lr", "loss/prob_loss")} == {
        "lr": [1, 2, 3, 4],
        "loss/prob_loss": [1, 2, 3, 4],
    }


@pytest.mark.parametrize("damaged", [0, 1, 2, 5])
def test_records_are_read_in_batches_up_to_a_damaged_one(tmp_path, monkeypatch, damaged):
    monkeypatch.setattr(event_files, "RECORDS_AT_ONCE", 2)
    path, records = tmp_path / "log", [bytes([65 + index]) * 9 for index in range(6)]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    assert list(event_files._read_records(path)) == records
    content = path.read_bytes()
    path.write_bytes(content.replace(records[damaged], b"x" * 9))
    assert list(event_files._read_records(path)) == records[:damaged]


def test_what_is_flushed_is_in_the_file(tmp_path):
    summaries = Summaries(tmp_path)
    summaries.step(1, METRICS)
    summaries.flush()
    assert scalars_of(tmp_path)["lr"] == [(1, pytest.approx(1e-3))]
    summaries.close()


def test_a_full_disk_is_an_os_error_in_one_line(tmp_path):
    summaries = Summaries(tmp_path)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))  # of a file, in bytes
    try:
        with pytest.raises(OSError, match="the log cannot be written: File too large$") as error:
            for step in range(1, 100):
                summaries.step(step, METRICS)
            summaries.flush()
        assert str(error.value).startswith(str(tmp_path)) and "\n" not in str(error.value)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        summaries.close()


def test_a_log_folder_that_cannot_be_is_an_os_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="the log cannot be written"):
        Summaries(tmp_path / "file" / "log")


def test_a_gradient_norm_that_overflowed_is_left_out(tmp_path):
    summaries = Summaries(tmp_path)
    summaries.step(1, METRICS | {"gradient_norm": np.float32(np.inf)})
    summaries.close()
    scalars = scalars_of(tmp_path)
    assert "gradient_norm" not in scalars and len(scalars) == len(METRICS) - 1
