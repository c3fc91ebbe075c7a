"""Tests of the search for a checkpoint: which is the best, the last, and what is passed over."""

import os

import pytest
from checkpoint_samples import delete, flip_a_byte, save, truncate

from yolov3.checkpoints import open_checkpoint
from yolov3.weights.checkpoint_search import find_checkpoint


def test_best_has_the_highest_ap_and_last_is_the_newest(tmp_path):
    best = save(tmp_path / "a", "best", 500, ap=0.8)
    save(tmp_path / "a", "last", 750, ap=0.7)
    save(tmp_path / "b", "best", 900, ap=0.6)
    last = save(tmp_path / "b", "last", 400, ap=0.6)
    for folder in (tmp_path, tmp_path / "a"):
        assert find_checkpoint(folder).path == best
    assert find_checkpoint(tmp_path, "last").path == last
    assert find_checkpoint(best).path == best


@pytest.mark.parametrize(
    "own",
    [
        {"state": {"class_names": ["cat"]}},
        {"test_annot_path": "cats.txt"},
        {"state": {"validated_on": "made anew"}},
    ],
    ids=["classes", "file", "images"],
)
def test_best_is_sought_among_runs_with_the_task_of_the_newest(tmp_path, own):
    save(tmp_path / "digits", "best", 500, ap=0.8, state={"validated_on": "made before"})
    best = save(tmp_path / "cats-1", "best", 200, ap=0.3, **own)
    newest = save(tmp_path / "cats-2", "best", 100, ap=0.2, **own)
    os.utime(tmp_path / "digits", (1, 1))
    os.utime(tmp_path / "cats-1", (2, 2))
    assert find_checkpoint(tmp_path).path == best
    delete(best, "state.json")
    delete(newest, "model.safetensors")
    warnings = []  # name both, before those of the other task are tried
    assert find_checkpoint(tmp_path, warn=warnings.append).path.parent.name == "digits"
    assert [str(folder) in text for folder, text in zip([best, newest], warnings, strict=True)]


def test_the_same_images_count_under_another_name(tmp_path):
    judged = {"validated_on": "the same"}
    best = save(tmp_path / "a", "best", 500, ap=0.8, state=judged, test_annot_path="/old/t.txt")
    save(tmp_path / "b", "best", 100, ap=0.2, state=judged, test_annot_path="t.txt")
    os.utime(tmp_path / "a", (1, 1))
    assert find_checkpoint(tmp_path).path == best


def test_within_a_run_the_larger_input_size_goes_first(tmp_path):
    save(tmp_path / "a", "last", 100, ap=0.9, size=224)
    larger = save(tmp_path / "a", "best", 200, ap=0.7, size=416)
    assert find_checkpoint(tmp_path).path == larger
    other_run = save(tmp_path / "b", "best", 100, ap=0.8, size=224)
    assert find_checkpoint(tmp_path).path == other_run


def test_the_ap_of_a_last_one_at_a_smaller_size_does_not_count(tmp_path):
    best = save(tmp_path / "run", "best", 10, ap=0.5, size=416)
    save(tmp_path / "run", "last", 20, ap=0.9, size=416)  # whose run is best at 0.5: `STATE`
    assert find_checkpoint(tmp_path).path == best


def test_of_equal_ap_the_validated_one_goes_first(tmp_path):
    best = save(tmp_path, "best", 500, ap=0.8)
    save(tmp_path, "last", 600, ap=0.8)  # in the middle of an epoch: AP is that of step 500
    assert find_checkpoint(tmp_path).path == best


def test_not_a_number_is_never_the_best(tmp_path):
    save(tmp_path / "a", "best", 500, ap=float("nan"))
    good = save(tmp_path / "b", "best", 100, ap=0.1)
    assert find_checkpoint(tmp_path).path == good


def test_only_as_many_as_needed_are_hashed(tmp_path, monkeypatch):
    for step, run in enumerate("abc"):
        save(tmp_path / run, "best", step, ap=0.1 * step)
    opened = []
    monkeypatch.setattr(
        "yolov3.weights.checkpoint_search.open_checkpoint",
        lambda folder: opened.append(folder.parent.name) or open_checkpoint(folder),
    )
    find_checkpoint(tmp_path)
    assert opened == ["c"]


@pytest.mark.parametrize("damage", [flip_a_byte, truncate, delete])
@pytest.mark.parametrize(
    "name",
    ["model.safetensors", "resume.safetensors", "config.json", "state.json", "checksums.json"],
)
@pytest.mark.parametrize("kind", ["best", "last"])
def test_damaged_one_is_named_and_the_one_before_is_taken(tmp_path, kind, damage, name):
    before = save(tmp_path, "last", 100, ap=0.1)
    newest = save(tmp_path, "last", 200, ap=0.2)
    damage(newest, name)
    warnings = []
    assert find_checkpoint(tmp_path, kind, warnings.append).path == before
    assert len(warnings) == 1 and str(newest) in warnings[0]
    with pytest.raises(ValueError, match="last-000200: expected a whole checkpoint"):
        find_checkpoint(newest)


def test_nothing_whole_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"found none \(train first\)"):
        find_checkpoint(tmp_path)
    for name, hint in {"nowhere": "", "a.weights": "make weights", "b.conv.74": "weights"}.items():
        message = f"{name}: expected a checkpoint or a folder.*nothing of that name.*{hint}"
        with pytest.raises(ValueError, match=message):
            find_checkpoint(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^checkpoints: .*\(train first\)"):
        find_checkpoint("checkpoints")
    folder = save(tmp_path, "best", 100)
    with pytest.raises(ValueError, match="found none"):
        find_checkpoint(tmp_path, "last")
    delete(folder, "model.safetensors")
    with pytest.raises(ValueError, match="found none"):
        find_checkpoint(tmp_path, warn=lambda text: None)
