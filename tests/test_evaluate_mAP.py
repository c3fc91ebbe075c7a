"""evaluate_mAP.py: the figures it writes, and what it refuses."""

import json

from script_runs import refusal, write

import evaluate_mAP


def test_evaluate_writes_its_figures_as_json(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    weights = f"--weights={trained.folder / 'checkpoints'}"
    assert evaluate_mAP.main([weights, "--json=my figures/result.json"]) == 0
    result = json.loads((tmp_path / "my figures" / "result.json").read_text())
    assert {"AP50", "AP75", "AP", "per_class", "images", "images_per_second"} <= result.keys()
    assert result["images"] == 8 and result["images_per_second"] > 0
    assert list(result["per_class"]) == list("0123456789")
    for name in ("AP50", "AP75", "AP"):
        assert 0 <= result[name] <= 1
    assert sum(row["boxes"] for row in result["per_class"].values()) == 16
    out = capsys.readouterr().out
    assert "all classes" in out and "saved my figures/result.json" in out


def test_evaluate_refuses_bad_input(trained, tmp_path, capfd):
    weights = ["--weights", trained.folder / "checkpoints"]
    line = refusal(capfd, evaluate_mAP.main, [*weights, "--annotations", tmp_path / "gone.txt"])
    assert "gone.txt: expected a file" in line
    bad = write(tmp_path / "bad.txt", "gone.png 1,2,3,4,5")
    line = refusal(capfd, evaluate_mAP.main, [*weights, "--annotations", bad])
    assert "bad.txt:1: expected a picture" in line
    line = refusal(capfd, evaluate_mAP.main, ["--size=100"])
    assert "--size: expected a multiple of 32; received 100" in line
    line = refusal(capfd, evaluate_mAP.main, ["--iou-threshold=2"])
    assert "--iou-threshold: expected 0 to 1; received 2" in line
