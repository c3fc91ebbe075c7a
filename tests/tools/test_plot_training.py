"""plot_training: the curves of a log, the figure, and a log without a validation."""

import shutil

import pytest
import tensorflow as tf

import plot_training
from yolov3.cli.run import BAD_INPUT, run_script
from yolov3.images import read_image
from yolov3.runs.run_logger import TensorBoardLog


@pytest.fixture
def log(tmp_path):
    folder = tmp_path / "yolov3-tiny_20260101-000000"
    log = TensorBoardLog(folder, 0)
    for step, value in ((10, 0.25), (20, 0.75)):
        log.scalars(step, {"mAP/mAP50": value, "mAP/mAP75": value / 2, "mAP/mAP": 0.1})
    log.close()
    return folder


def test_curves_have_the_values_of_the_log_in_their_order(log):
    curves = plot_training.read_curves(str(log))
    assert [value for _, value in curves["mAP50"]] == pytest.approx([0.25, 0.75])
    assert [value for _, value in curves["mAP75"]] == pytest.approx([0.125, 0.375])
    minutes = [minute for minute, _ in curves["mAP50"]]
    assert 0 <= minutes[0] <= minutes[1] < 1


def test_a_pause_and_what_was_done_again_are_no_time_of_training(tmp_path):
    """The run began at second 100, was interrupted at 280 and resumed at step 2 at 9,000."""
    first, second = [(1, 160, 0.1), (2, 220, 0.2), (3, 280, 0.8)], [(3, 9_030, 0.3)]
    for start, step, validations in ((100, 1, first), (9_000, 3, second)):
        path = tmp_path / f"events.out.tfevents.{start:010}"
        with tf.io.TFRecordWriter(str(path)) as writer:
            events = [tf.compat.v1.Event(wall_time=start, file_version="brain.Event:2")]
            events.append(tf.compat.v1.Event(wall_time=start, step=step))
            events[-1].session_log.status = tf.compat.v1.SessionLog.START
            for step, wall_time, value in validations:
                event = tf.compat.v1.Event(wall_time=wall_time, step=step)
                for tag in plot_training.TAGS:
                    tensor = tf.make_tensor_proto(value, tf.float32)
                    event.summary.value.add(tag=tag, tensor=tensor)
                events.append(event)
            for event in events:
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


def test_many_runs_are_drawn_in_rows(log, tmp_path):
    curves = plot_training.read_curves(str(log))
    one, four = tmp_path / "one.png", tmp_path / "four.png"
    plot_training.draw({"a": curves}, str(one))
    plot_training.draw(dict.fromkeys("abcd", curves), str(four))
    (height, width), (rows_height, columns_width) = (
        read_image(path).shape[:2] for path in (one, four)
    )
    assert (rows_height, columns_width) == pytest.approx((2 * height, 3 * width), rel=0.05)


def test_a_folder_without_a_log_is_bad_input(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_code:
        run_script(lambda: plot_training.main([str(tmp_path)]))
    assert exit_code.value.code == BAD_INPUT
    assert str(tmp_path) in capsys.readouterr().err


def test_what_is_no_validated_run_is_left_out(log, tmp_path, capsys):
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
