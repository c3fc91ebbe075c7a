"""A whole detection with a detector that needs no training: files, messages, exit codes."""

import io
import json
import re

import numpy as np
import pytest
from full_disk import full_disk
from white_square_detector import (
    FPS,
    FakeCamera,
    WhiteSquareDetector,
    damage_frame,
    dark_image,
    read_video,
    white_in_frame,
    write_video,
)

from yolov3.images import read_image, write_image
from yolov3.inference import frames
from yolov3.inference import run as inference_run
from yolov3.inference.frames import Frame
from yolov3.inference.outputs import OutputOptions
from yolov3.inference.pipeline import NO_OBJECTS, Detections
from yolov3.inference.run import DetectionReport, run_detection
from yolov3.inference.sources import find_sources


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


SAVE = OutputOptions(save=True)


def run(*words, options=SAVE, output="out"):
    options = options._replace(folder=output)
    return run_detection(WhiteSquareDetector(), find_sources(words), options, batch_size=None)


def test_a_video_keeps_its_speed_its_frames_and_shows_the_boxes(here, capsys):
    write_video(here / "clip.avi")
    assert run("clip.avi") == 0
    fps, frames = read_video(here / "out" / "clip.mp4")
    assert fps == FPS and len(frames) == 10
    for index, frame in enumerate(frames):
        right = white_in_frame(index)[2]
        coloured = np.ptp(frame[16:24].astype(int), axis=2) > 60  # white and black are grey
        assert abs(int(np.nonzero(coloured.any(axis=0))[0].max()) - right) <= 3
    out, error = capsys.readouterr()
    assert "clip.avi: 10 frames, 10 found: white/bright x10\n" in out
    assert "10 frames read; 10 found: white/bright x10; " in out
    assert out.endswith("frames per second\nsaved in out\n") and error == ""


def test_a_class_that_is_drawn_as_its_number_is_named(here, installed_fonts, capsys):
    write_image(here / "a\x1b[31m\nb.png", dark_image(64, 48, (8, 8, 40, 40)))
    detector = WhiteSquareDetector()
    detector.class_names = [detector.class_names[0], "人"]
    sources = find_sources(["."])
    for options, ending in ((SAVE, ": class 1 is 人\n"), (OutputOptions(json=True), "")):
        options = options._replace(folder=f"out{len(ending)}")
        run_detection(detector, sources, options, batch_size=None)
        out, error = capsys.readouterr()
        assert error.endswith(ending) and error.count("\n") == len(ending[:1])
        assert out.startswith(r"a\x1b[31m\nb.png: 1 found: 人")


def test_what_cannot_be_read_is_told_and_counted(here, capsys):
    write_image(here / "a.png", dark_image(64, 48, (8, 8, 40, 40)))
    write_image(here / "b.png", dark_image(64, 48))
    (here / "c.png").write_text("no image")
    (here / "d.mp4").write_text("no video")
    damage_frame(write_video(here / "e.avi"), 4)
    assert run(".") == 0
    out, error = capsys.readouterr()
    assert out.splitlines()[:3] == [
        "a.png: 1 found: white/bright",
        "b.png: nothing found",
        "e.avi: 9 frames, 9 found: white/bright x9",
    ]
    assert "11 frames read; 3 could not be read; 10 found" in out
    lines = error.splitlines()
    assert len(lines) == 3 and all(line.startswith("skipped: ") for line in lines)
    assert "c.png: expected an image" in lines[0] and "d.mp4" in lines[1]
    assert "e.avi: 1 frame lost, from number 4 on" in lines[2]
    assert len(read_video(here / "out" / "e.mp4")[1]) == 10  # the one before stays for the lost one


def test_a_camera_that_is_unplugged_is_an_error_though_frames_were_read(here, monkeypatch, capsys):
    monkeypatch.setattr(frames, "open_capture", lambda _: FakeCamera([1, 2, 3]))
    write_image(here / "a.png", dark_image(64, 48))
    assert run("0", "a.png", options=OutputOptions(json=True)) == 1
    out, error = capsys.readouterr()
    assert re.fullmatch(r"camera 0: broke off at .* after 3 frames\n", error)
    assert "; 1 stream failed; " in out and "a.png: nothing found" in out
    entries = json.loads((here / "out" / "detections.json").read_text())["frames"]
    assert {"source": "camera 0", "error": error.strip()} in entries


def test_what_cannot_be_written_is_an_error_and_the_rest_is_done(here, capsys):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    write_image(here / "a.png", noise)
    write_image(here / "b.png", dark_image(64, 48))
    with full_disk(20_000):
        assert run("a.png", "b.png", options=OutputOptions(True, True, True, True)) == 1
    out, error = capsys.readouterr()
    lost = ["out/a.png", "out/crops/white_bright/a-1.png"]
    assert sorted(error.splitlines()) == [f"not saved: {name}: File too large" for name in lost]
    assert "2 frames read; 2 files could not be written; " in out
    saved = sorted(path.name for path in (here / "out").rglob("*") if path.is_file())
    assert saved == ["a.txt", "b.png", "b.txt", "classes.txt", "detections.json"]


def test_nothing_that_can_be_read_is_a_failure_without_a_new_folder(here, capsys):
    (here / "c.png").write_text("no image")
    assert run("c.png", output=None) == 1
    assert capsys.readouterr().out == "0 frames read; 1 could not be read\n"
    assert not list((here / "detections").iterdir())
    assert run("c.png") == 1 and (here / "out").is_dir()  # the user's


def test_without_files_there_is_no_folder_and_what_helps_is_told(here, capsys):
    write_image(here / "a.png", dark_image(64, 48))
    assert run("a.png", options=OutputOptions(), output=None) == 0
    assert [path.name for path in here.iterdir()] == ["a.png"]
    assert "saved" not in capsys.readouterr().out
    assert run(".") == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "nothing above 0.3: try a lower --score-threshold, or train longer"
    )


@pytest.mark.parametrize("size_wh", [(1, 1), (20_000, 1), (1, 20_000), (20_000, 300)])
def test_very_small_and_very_large_images(here, size_wh, capsys):
    write_image(here / "a.png", dark_image(*size_wh, (0, 0, *size_wh)))
    assert run("a.png", options=OutputOptions(save=True, txt=True, crops=True)) == 0
    assert read_image(here / "out" / "a.png").shape == (*size_wh[::-1], 3)
    assert (here / "out" / "labels" / "a.txt").read_text() == "1 0.5 0.5 1 1\n"
    assert read_image(here / "out" / "crops" / "white_bright" / "a-1.png").min() == 255


def test_windows_go_on_until_the_user_has_seen_enough(here, monkeypatch):
    shown = []

    def show(image_rgb, title, wait):
        shown.append((wait, image_rgb.shape))
        return len(shown) < (1 if wait else 4)

    monkeypatch.setattr(inference_run, "open_window", show)
    write_video(here / "clip.avi")
    write_image(here / "a.png", dark_image(30, 20))
    write_image(here / "b.png", dark_image(30, 20))
    assert run("clip.avi", options=OutputOptions(show=True), output=None) == 0
    assert shown == [(False, (48, 64, 3))] * 4
    shown.clear()
    assert run("a.png", "b.png", options=OutputOptions(save=True, show=True)) == 0
    assert shown == [(True, (20, 30, 3))]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("total", "of"), [(40, "/40"), (4, "/20"), (None, "")])
def test_progress_tells_speed_and_time_left(monkeypatch, total, of):
    stream, clock = io.StringIO(), Clock()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("yolov3.cli.progress.SECONDS_BETWEEN_LINES", 2)
    report = DetectionReport(["white"], total, 100, clock)
    [source] = find_sources(["rtsp://host/door"])
    for frame in [Frame(source)] * 18 + [Frame(source, error="gone", lost=2)]:
        clock.now += 0.1 * (frame.lost or 1)
        report.add(Detections(frame, *NO_OBJECTS))
    assert stream.getvalue().startswith(f"skipped: gone\n20{of} frames  10.0 frames/s")


def test_the_summary_says_once_where_frames_have_as_many_objects_as_may_be(capsys):
    report = DetectionReport(["a", "b"], None, limit=3)
    [source] = find_sources(["rtsp://host/door"])
    for count in (2, 3, 0, 3):
        boxes, scores, classes = np.zeros((count, 4)), np.ones(count), np.arange(count) % 2
        report.add(Detections(Frame(source), boxes, scores, classes))
    report.summarize(None)
    summary, note = capsys.readouterr().out.splitlines()
    assert "8 found: a x5, b x3" in summary
    assert note == "note: 2 frames with 3 objects, the most that --max-detections keeps"
