"""plot_training: the curves of runs, the figure, and a run without a validation."""

import shutil

import pytest

import plot_training
from yolov3.runs.run_logger import LOSSES, Results


@pytest.fixture
def log(tmp_path):
    folder = tmp_path / "yolov3-tiny_20260101-000000"
    folder.mkdir()
    results = Results(folder, 0)
    for epoch, value in ((1, 0.25), (2, 0.75)):
        losses = [1.0] * len(LOSSES)
        results.add(epoch, 10 * epoch, 416, 1e-3, *losses, *losses, value, value / 2, 0.1)
    return folder


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
    (tmp_path / "stopped early").mkdir()
    Results(tmp_path / "stopped early", 0)
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
