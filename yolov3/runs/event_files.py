"""The TensorBoard files of a run that goes on from an earlier step than it had logged.

A run logs every step, but saves a checkpoint only now and then. What it logged after the checkpoint
that it goes on from will happen, and be logged, again. Those events are moved out of the log to a
file beside it, so that each step stands in the log once, and nothing is deleted:

    events.out.tfevents.1767222000.host.17.0.v2     the log, up to the step of the checkpoint
    undone-000400.1767222000.host.17.0.v2           what it held after step 400

TensorBoard reads only files with "tfevents" in their names.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

LOG_PREFIX = "events.out.tfevents."
RECORDS_AT_ONCE = 1024  # one by one it takes 20 times as long
VALIDATION_TAGS = ("validate_loss/", "mAP/", "validate/")  # as `Summaries` writes them


def undo_events_after(folder: Path, step: int, is_validated: bool = True) -> None:
    """Move all events of steps after `step` out of a run's log.

    Those of the validation after `step` go too unless it `is_validated`, because it comes again. A
    record that a killed process wrote half is left out; none follows it. Raises OSError.
    """

    def comes_again(event):
        if event.step == step and not is_validated:
            return any(value.tag.startswith(VALIDATION_TAGS) for value in event.summary.value)
        return event.step > step

    for path in log_files(folder):
        if any(comes_again(event) for event, _ in read_events(path)):
            undone = path.with_name(f"undone-{step:06d}.{path.name.removeprefix(LOG_PREFIX)}")
            _write(undone, (record for event, record in read_events(path) if comes_again(event)))
            _write(path, (record for event, record in read_events(path) if not comes_again(event)))


def sync_events(folder: Path) -> None:
    """Have the disk hold all that was flushed to the log in `folder`. Raises OSError."""
    for path in log_files(folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def log_files(folder) -> list[Path]:
    """Return the files of the log in a folder, one for each start or resume, in their order."""
    return sorted(Path(folder).glob(f"{LOG_PREFIX}*"))


def read_events(path) -> Iterator[tuple[tf.compat.v1.Event, bytes]]:
    """Yield the events of a file, each with its record, up to the first damaged one."""
    for record in _read_records(path):
        yield tf.compat.v1.Event.FromString(record), record


def _read_records(path) -> Iterator[bytes]:
    """Yield the records of a file up to the first damaged one."""
    records, count = tf.data.TFRecordDataset(str(path)), 0
    try:
        for batch in records.batch(RECORDS_AT_ONCE).as_numpy_iterator():
            yield from batch
            count += len(batch)
    except tf.errors.DataLossError:  # in this batch, which may begin with good ones
        with contextlib.suppress(tf.errors.DataLossError):
            yield from records.skip(count).as_numpy_iterator()


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise what TensorFlow reports of a disk, that is full or fails, as OSError in one line."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = error.message.splitlines()[0].rpartition("; ")[2]
        raise OSError(f"{path}: the log cannot be written: {reason}") from None


def _write(path, records):
    """Write a file aside, sync it, and put it in its place, so that it is never half there."""
    aside = path.with_name(".log.partial")  # no name that TensorBoard reads
    with disk_errors(path), tf.io.TFRecordWriter(str(aside)) as writer:
        for record in records:
            writer.write(record)
    with open(aside, "rb") as stream:
        os.fsync(stream.fileno())
    aside.replace(path)
