"""plot_training: the curves of a log, the figure, and a log without a validation."""

import shutil

import pytest
import tensorflow as tf

import plot_training
from yolov3.runs.run_logger import TensorBoardLog


@pytest.fixture
def log(tmp_path):
    folder = tmp_path / "yolov3-tiny_20260101-000000"
    log = TensorBoardLog(folder, 0)
    for step, value in ((10, 0.25), (20, 0.75)):
        log.scalars(step, {"mAP/mAP50": value, "mAP/mAP75": value / 2, "mAP/mAP": 0.1})
    log.close()
    return folder


def test_a_pause_and_what_was_done_again_are_no_time_of_training(tmp_path):
    """The run began at second 100, was interrupted at 280 and resumed at step 2 at 9,000."""
    first, second = [(1, 160, 0.1), (2, 220, 0.2), (3, 280, 0.8)], [(3, 9_030, 0.3)]
    for start, step, validations in ((100, 1, first), (9_000, 3, second)):
        path = tmp_path / f"events.out.tfevents.{start:010}"
        with tf.io.TFRecordWriter(str(path)) as writer:
            event = tf.compat.v1.Event(wall_time=start, file_version="brain.Event:2")
            writer.write(event.SerializeToString())
            event = tf.compat.v1.Event(wall_time=start, step=step)
            event.session_log.status = tf.compat.v1.SessionLog.START
            writer.write(event.SerializeToString())
            for step, wall_time, value in validations:
                event = tf.compat.v1.Event(wall_time=wall_time, step=step)
                for tag in plot_training.TAGS:
                    tensor = tf.make_tensor_proto(value, tf.float32)
                    event.summary.value.add(tag=tag, tensor=tensor)
                writer.write(event.SerializeToString())
    minutes, values = zip(*plot_training.read_curves(str(tmp_path))["mAP50"], strict=True)
    assert minutes == pytest.approx([1, 2, 2.5])
    assert values == pytest.approx([0.1, 0.2, 0.3])


def test_the_figure_is_written_and_the_numbers_printed(log, tmp_path, capsys):
    output = tmp_path / "curves.png"
    assert plot_training.main([str(log), "--output", str(output)]) == 0
    assert output.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert f"{log.name} mAP50: 0.2500 after 0.0, 0.7500 after 0.0 min" in printed


def test_what_is_no_validated_run_is_left_out(log, tmp_path, capsys):
    with pytest.raises(ValueError, match=f"{tmp_path}/none: no logs of runs"):
        plot_training.read_runs([f"{tmp_path}/none"])
    (tmp_path / "README.md").write_text("logs\n")
    TensorBoardLog(tmp_path / "stopped early", 0).close()
    runs = plot_training.read_runs([str(path) for path in sorted(tmp_path.iterdir())])
    assert list(runs) == [log.name]
    assert "skipped: " + str(tmp_path / "stopped early") in capsys.readouterr().err


def test_runs_of_one_network_are_kept_apart(log, tmp_path):
    other = tmp_path / "yolov3-tiny_20260102-000000"
    log.rename(other)
    shutil.copytree(other, log)
    assert set(plot_training.read_runs([str(log), f"{other}/"])) == {log.name, other.name}
    deeper = shutil.copytree(log, tmp_path / "demo" / log.name)
    names = {log.name, other.name, str(deeper)}
    assert names == set(plot_training.read_runs([str(log), str(other), str(tmp_path / "demo")]))
