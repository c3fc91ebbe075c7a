"""detect.py as a user runs it: what it takes, and what it refuses."""

import json
import signal
import subprocess
import time

import pytest
from script_runs import TIMEOUT_S, command, environment, refusal, write
from white_square_detector import dark_image, read_video, write_video

import detect
from yolov3.darknet import save_darknet_weights
from yolov3.images import write_image
from yolov3.yolov3 import build_yolov3


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Be in a folder with an image and a video, on a machine without a screen."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    write_image(tmp_path / "a.png", dark_image(90, 60, (10, 10, 50, 50)))
    write_video(tmp_path / "clip.avi")
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


def objects(folder):
    content = json.loads((folder / "detections.json").read_text())
    return content, [item for frame in content["frames"] for item in frame["objects"]]


def test_detect_takes_the_best_checkpoint_with_its_names_and_size(
    trained, digit_scenes, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(trained.folder)
    scenes = str(digit_scenes.parent)
    flags = ["--json", "--txt", "--score-threshold=0.001", "--output", str(tmp_path / "out")]
    assert detect.main([scenes, *flags]) == 0
    content, found = objects(tmp_path / "out")
    assert content["input_size_hw"] == [64, 64] and content["classes"] == list("0123456789")
    assert content["score_threshold"] == 0.001 and "best-" in content["weights"]
    assert len(content["frames"]) == 8 and all(item["score"] >= 0.001 for item in found) and found
    assert len(list((tmp_path / "out").glob("scene *.png"))) == 8
    lines = sum(
        len(path.read_text().splitlines()) for path in (tmp_path / "out").rglob("scene*.txt")
    )
    assert lines == len(found)
    assert "64x64" in capsys.readouterr().out


def test_detect_takes_darknet_weights_class_names_a_choice_of_them_and_any_size(here, capsys):
    save_darknet_weights(build_yolov3(2, tiny=True), here / "x.weights")
    write(here / "two.names", "cat\ndog\n")
    flags = ["--weights=x.weights", "--names=two.names", "--classes=dog", "--input-size=64x96"]
    assert detect.main(["a.png", *flags, "--score-threshold=0", "--json", "--no-save"]) == 0
    [folder] = (here / "detections").iterdir()
    assert [path.name for path in folder.iterdir()] == ["detections.json"]
    content, found = objects(folder)
    assert content["input_size_hw"] == [64, 96] and content["classes"] == ["cat", "dog"]
    assert {item["class"] for item in found} == {"dog"}
    assert "x.weights" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler  # ends it as Ctrl-C does


def test_detect_limits_what_is_found_and_names_no_label_file_like_the_class_file(trained, here):
    (here / "a.png").rename(here / "classes.png")
    flags = [f"--weights={trained.folder / 'checkpoints'}", "--score-threshold=0", "--no-save"]
    every = ["--multi-label", "--iou-threshold=1"]  # 60 predictions of 10 classes
    one_label = every[1:]  # 4 of the predictions are taken for a second label of another one
    for limit, count in ((["--max-detections=7"], 7), (every, 300), (one_label, 56)):
        output = here / f"{count}"
        assert detect.main(["classes.png", *flags, *limit, "--txt", f"--output={output}"]) == 0
        assert len((output / "labels" / "classes-2.txt").read_text().splitlines()) == count
        assert (output / "labels" / "classes.txt").read_text().split() == list("0123456789")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["gone.png"], "gone.png: no such image, video or folder"),
        (["a.png", "--show"], "--show: no window can be opened here"),
        (["a.png", "--output=."], ".: this folder is not empty"),
        (["a.png", "--output=a.png"], "a.png: not a folder"),
        (["a.png", "--weights=nowhere"], "nowhere: no such checkpoint or folder of checkpoints"),
    ],
)
def test_detect_refuses_bad_input(here, capfd, flags, expected):
    assert expected in refusal(capfd, detect.main, flags)
    assert sorted(path.name for path in here.iterdir()) == ["a.png", "clip.avi"]


def test_an_interrupted_video_is_readable(trained, here):
    write_video(here / "long.avi", frames=20_000)
    weights = f"--weights={trained.folder / 'checkpoints'}"
    flags = ["--output=out", "--json", "--input-size=32", weights]
    process = subprocess.Popen(
        command("detect.py", "long.avi", *flags),
        cwd=here,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        video, written = here / "out" / "long.mp4", here / "out" / "detections.json"
        while process.poll() is None and not (written.exists() and written.stat().st_size > 10_000):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    assert process.returncode == 130, out + error
    assert error == "interrupted\n"
    _, frames = read_video(video)
    content, _ = objects(here / "out")
    assert 0 < len(frames) < 20_000 and len(content["frames"]) - len(frames) in (0, 1)
    assert "frames read; " in out and "saved in out" in out
    assert len({frame.shape for frame in frames}) == 1 and frames[0].shape == (48, 64, 3)
