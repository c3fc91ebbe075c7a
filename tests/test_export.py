"""export.py: the check of what it writes, and what it refuses."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from checkpoint_samples import save
from random_network import SIZE, random_images, random_network
from script_runs import refusal, write

import evaluate_mAP
import export
from yolov3.evaluation import largest_difference
from yolov3.images import write_image
from yolov3.weights import state_dict


@pytest.fixture(scope="module")
def in_folder(tmp_path_factory):
    """Save a checkpoint, and annotations of what it was validated on."""
    folder = tmp_path_factory.mktemp("export")
    for index, image in enumerate(random_images()):
        write_image(folder / f"{index}.png", image)
    (folder / "test.txt").write_text("".join(f"{i}.png 3,4,30,30,1\n" for i in range(4)))
    settings = {"train_annot_path": "test.txt", "test_annot_path": "test.txt"}
    state = {"class_names": ["cat", "dog"]}
    save(
        folder, "best", 5, weights=state_dict(random_network()), size=SIZE, state=state, **settings
    )
    return folder


def test_a_file_is_checked_in_its_runtime_and_a_difference_is_a_failure(
    in_folder, monkeypatch, capsys
):
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(in_folder)
    flags = ["--weights=.", "--format", "onnx", "--score-threshold=0.001"]
    assert export.main(flags) == 0
    wrote, header, row = capsys.readouterr().out.splitlines()[-3:]
    path = wrote.removeprefix("wrote ")
    assert path.startswith("exports/") and path.endswith("/yolov3-tiny-float32.onnx")
    assert header.split() == list(export.HEADER)
    name, megabytes, pixels, score, its_map, our_map, *_ = row.split()
    assert name == "yolov3-tiny-float32.onnx" and 30 < float(megabytes) < 40
    assert float(pixels) <= 0.05 and float(score) <= 1e-4 and its_map == our_map
    flags_of_file = [f"--weights={path}", "--annotations=test.txt", "--no-report"]
    assert evaluate_mAP.main(flags_of_file) == 0
    assert its_map in capsys.readouterr().out
    monkeypatch.setattr(export, "MOST_SCORE", -1)
    assert export.main([*flags, "--images=1", "--output=mine"]) == 1
    assert "yolov3-tiny-float32.onnx DIFFERS" in capsys.readouterr().out
    script = f"import sys, detect; detect.main(['0.png', '--weights={path}']); "
    script += "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_what_cannot_be_exported_is_refused(in_folder, monkeypatch, capfd):
    monkeypatch.chdir(in_folder)
    for flags, message in (
        (["--format", "saved_model", "--precision=int8"], "saved_model has no int8"),
        (["--format", "litert", "--dynamic"], "litert takes one size alone"),
    ):
        with pytest.raises(SystemExit):
            export.main(flags)
        assert message in capfd.readouterr().err
    line = refusal(capfd, export.main, ["--weights=.", "--format", "litert", "--output=."])
    assert "not empty" in line
    line = refusal(capfd, export.main, ["--weights=a.onnx", "--format", "litert"])
    assert "a.onnx: expected a checkpoint or Darknet weights; received an exported file" in line
    write(in_folder / "empty.txt", "0.png\n")
    flags = ["--weights=.", "--format", "litert", "--annotations=empty.txt", "--precision=float16"]
    assert "empty.txt: float16 is judged by mAP50" in refusal(capfd, export.main, flags)


class StandIn:
    """A detector in the place of one of a file."""

    def __init__(self, *_, **settings):
        pass


@pytest.mark.parametrize(
    ("scores", "its_scores", "verdict"),
    [
        ([0.9], [0.9], ""),
        ([0.9], [0.89], " DIFFERS"),
        ([0.2], [0.19], " DIFFERS"),  # none is shown: lower ones are compared
        ([], [], " FOUND NOTHING"),
    ],
)
def test_a_check_that_compares_nothing_fails(scores, its_scores, verdict, monkeypatch, capsys):
    def evaluate(detector, records):
        chosen = np.float32(scores if detector == "ours" else its_scores)
        boxes, classes = np.zeros((len(chosen), 4)), np.zeros(len(chosen), int)
        figures = {"mAP50": float("nan")}
        return SimpleNamespace(detections=[(boxes, chosen, classes)], figures=figures)

    monkeypatch.setattr("yolov3.evaluation.evaluate", evaluate)
    monkeypatch.setattr("yolov3.evaluation.time_stages", lambda *_, **__: {"network": 0})
    monkeypatch.setattr("yolov3.detection.Detector", StandIn)
    about = {"precision": "float32", "score_threshold": 0.3}
    assert export.compare("ours", [Path("a.onnx")], [], about) == bool(verdict)
    assert capsys.readouterr().out.splitlines()[1].startswith(f"a.onnx{verdict}   ")


def test_the_largest_difference_is_between_the_nearest_of_a_class():
    boxes, scores = np.float32([[0, 0, 9, 9], [50, 50, 60, 60]]), np.float32([0.9, 0.4])
    ours = [(boxes, scores, np.array([0, 1]))]
    moved = boxes + np.float32([[0, 0, 0, 0.5]] * 2)
    theirs = [(moved[::-1], scores[::-1] - np.float32(0.1), np.array([1, 0]))]
    assert largest_difference(ours, theirs, 0.2) == pytest.approx((0.5, 0.1))
    assert largest_difference(ours, ours, 0.2) == (0, 0)
    lost = [(boxes[:1], scores[:1], np.array([0]))]
    assert (
        largest_difference(ours, lost, 0.2) == largest_difference(lost, ours, 0.2) == (np.inf,) * 2
    )
    assert largest_difference(ours, lost, 0.5) == (0, 0)
    assert largest_difference(ours, lost, 0.4)[0] == np.inf  # a score at the threshold counts
    assert np.isnan(largest_difference(ours, ours, 0.95)).all()
