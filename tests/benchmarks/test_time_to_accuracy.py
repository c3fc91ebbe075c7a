import pytest
import tensorflow as tf
from tensorboard.plugins.text.summary_v2 import text_pb

from benchmarks.time_to_accuracy import TAGS, figures, main, read_points, read_run
from yolov3.configs import Config
from yolov3.runs.tensorboard import TensorBoardLog, settings_table

SETTINGS = settings_table(Config(tiny=True, precision="float32"))
GIGAFLOPS = 5.571  # of YOLOv3-tiny with 80 classes at 416 px, as Darknet prints


def write_session(folder, done, sizes, validated):
    """Log steps after `done` ones, with their input sizes, and mAP50 after some of them."""
    log = TensorBoardLog(folder, done)
    if not done:
        names = "```\n" + "\n".join(map(str, range(80))) + "\n```"
        log.write(1, text_pb("config", SETTINGS), text_pb("class_names", names))
    for step, size in enumerate(sizes, done + 1):
        log.scalars(step, {"train/input_size": size})
        if step in validated:
            maps = {"mAP/mAP50": validated[step], "mAP/mAP75": 0.5, "mAP/mAP": validated[step] / 2}
            log.scalars(step, maps)
    log.close()


@pytest.fixture
def log(tmp_path):
    """Four steps at 416 px, three at 832 px that a resume does again, and two at 416 px."""
    folder = tmp_path / "yolov3-tiny_20260101-000000"
    write_session(folder, 0, [416] * 4 + [832] * 3, {4: 0.5})
    write_session(folder, 4, [832] * 2 + [416] * 2, {6: 0.96, 8: 0.95})
    return folder


def test_work_of_each_step_follows_its_input_size_and_counts_once(log):
    to_target, in_all, minutes, all_minutes, share, *maps = figures(
        read_run(log), 0.95, {"float32": 100.0}.get
    )
    step = 3 * 4 * GIGAFLOPS / 1000  # at 416 px; one at 832 px is four of them
    assert to_target == pytest.approx((4 + 4 * 2) * step, rel=2e-3)
    assert in_all == pytest.approx((4 + 4 * 2 + 2) * step, rel=2e-3)
    assert 0 < minutes < all_minutes
    assert share == pytest.approx(1000 * in_all / (60 * all_minutes) / 100)
    assert maps == pytest.approx([0.96, 0.5, 0.48])


def test_runs_and_their_medians_are_printed(log, tmp_path, capsys):
    write_session(tmp_path / "yolov3-tiny_20260102-000000", 0, [416] * 2, {2: 0.5})
    assert main([str(tmp_path), "--matrix-rate", "100"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if "tiny" in line]
    assert [row[0] for row in rows[1:]] == [
        "| yolov3-tiny_20260102-000000",
        "| yolov3-tiny, median",
    ]
    assert rows[1][1:3] == ["not reached", "0.134"]


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
                for tag in TAGS:
                    tensor = tf.make_tensor_proto(value, tf.float32)
                    event.summary.value.add(tag=tag, tensor=tensor)
                writer.write(event.SerializeToString())
    points = [point for point in read_points(tmp_path, TAGS) if point.tag == "mAP/mAP50"]
    assert [point.minutes for point in points] == pytest.approx([1, 2, 2.5])
    assert [point.value for point in points] == pytest.approx([0.1, 0.2, 0.3])
