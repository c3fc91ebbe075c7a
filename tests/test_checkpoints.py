"""Tests of checkpoints: round trips, which one is chosen, and damage of every kind."""

import hashlib
import json
import os
import pickle

import numpy as np
import pytest

from yolov3.checkpoints import find_checkpoint, open_checkpoint, save_checkpoint
from yolov3.configs import Config

WEIGHTS = {
    "conv_0/kernel": np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype(np.float32),
    "conv_0/bias": np.float32([np.nan, -0.0, 1e-45, np.inf]),
}
RESUME = {"step": np.int64(7), "optimizer/momentum": np.arange(5, dtype=np.float32)}
STATE = {"class_names": ["zero", "one two"], "best_AP": 0.5, "best_size": 416}


def save(run, kind, step, ap=None, size=416, weights=WEIGHTS):
    metrics = {} if ap is None else {"AP": ap, "AP50": 0.9}
    state = {**STATE, "step": step, "epoch": 3, "metrics": metrics}
    state |= {"best_size": size, "input_size": size}
    resume = {name: np.asarray(value) for name, value in RESUME.items()}
    config = Config(tiny=True, seed=3)
    return save_checkpoint(run, kind, config, state, weights, resume if kind == "last" else None)


def names(run):
    return sorted(folder.name for folder in run.iterdir())


def rewrite(folder, name, text):
    """Change a file and its checksum, as somebody who means harm would."""
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    sums = json.loads((folder / "checksums.json").read_text())
    sums[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "checksums.json").write_text(json.dumps(sums))


def flip_a_byte(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)


def truncate(folder, name):
    os.truncate(folder / name, (folder / name).stat().st_size // 2)


def delete(folder, name):
    (folder / name).unlink()


def test_round_trip_is_exact(tmp_path):
    folder = save(tmp_path / "run", "last", 750, ap=0.25)
    checkpoint = open_checkpoint(folder)
    for ours, theirs in ((checkpoint.weights(), WEIGHTS), (checkpoint.resume_state(), RESUME)):
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            their = np.asarray(theirs[name])
            assert (value.dtype, value.shape) == (their.dtype, their.shape)
            assert value.tobytes() == their.tobytes()
    assert checkpoint.config == Config(tiny=True, seed=3)
    assert checkpoint.class_names == ["zero", "one two"]
    assert (checkpoint.step, checkpoint.epoch, checkpoint.input_size) == (750, 3, 416)
    assert checkpoint.metrics == {"AP": 0.25, "AP50": 0.9}
    assert (checkpoint.best_AP, checkpoint.best_size) == (0.5, 416)


def test_one_best_and_two_last_are_kept(tmp_path):
    for step in (100, 200, 300, 400):
        save(tmp_path, "best", step, ap=0.1)
        save(tmp_path, "last", step, ap=0.1)
    assert names(tmp_path) == ["best-000400", "last-000300", "last-000400"]


def test_one_just_written_is_kept_though_others_have_more_steps(tmp_path):
    save(tmp_path, "best", 400, ap=0.1)
    save(tmp_path, "best", 300, ap=0.2)  # after resuming from an earlier one
    assert names(tmp_path) == ["best-000300"]


def test_same_step_again_replaces(tmp_path):
    save(tmp_path, "last", 5)
    folder = save(tmp_path, "last", 5, weights={"other": np.ones(3, np.float32)})
    assert list(open_checkpoint(folder).weights()) == ["other"]


def test_best_has_the_highest_ap_and_last_is_the_newest(tmp_path):
    best = save(tmp_path / "a", "best", 500, ap=0.8)
    save(tmp_path / "a", "last", 750, ap=0.7)
    save(tmp_path / "b", "best", 900, ap=0.6)
    last = save(tmp_path / "b", "last", 400, ap=0.6)
    for folder in (tmp_path, tmp_path / "a"):
        assert find_checkpoint(folder).path == best
    assert find_checkpoint(tmp_path, "last").path == last
    assert find_checkpoint(best).path == best


def test_within_a_run_the_larger_input_size_goes_first(tmp_path):
    save(tmp_path / "a", "last", 100, ap=0.9, size=224)
    larger = save(tmp_path / "a", "best", 200, ap=0.7, size=416)
    assert find_checkpoint(tmp_path).path == larger
    other_run = save(tmp_path / "b", "best", 100, ap=0.8, size=224)
    assert find_checkpoint(tmp_path).path == other_run


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
        "yolov3.checkpoints.open_checkpoint",
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


def test_nothing_whole_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"found none \(train first\)"):
        find_checkpoint(tmp_path)
    with pytest.raises(ValueError, match="nowhere: expected a checkpoint"):
        find_checkpoint(tmp_path / "nowhere")
    folder = save(tmp_path, "best", 100)
    with pytest.raises(ValueError, match="found none"):
        find_checkpoint(tmp_path, "last")
    delete(folder, "model.safetensors")
    with pytest.raises(ValueError, match="found none"):
        find_checkpoint(tmp_path, warn=lambda text: None)


def test_leftovers_of_a_crash_are_ignored_then_cleaned(tmp_path):
    before = save(tmp_path, "last", 100, ap=0.1)
    partial = tmp_path / ".last-000200.partial"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"half")
    assert find_checkpoint(tmp_path, "last").path == before
    save(tmp_path, "last", 300, ap=0.1)
    assert names(tmp_path) == ["last-000100", "last-000300"]


def test_crash_while_writing_leaves_the_earlier_ones(tmp_path, monkeypatch):
    before = save(tmp_path, "last", 100)
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        save(tmp_path, "last", 200)
    assert find_checkpoint(tmp_path, "last").path == before


HOSTILE_TEXTS = ["", "[]", "5", "null", '"text"', "{", "[" * 100_000, "\ud800", "1" * 5000]


@pytest.mark.parametrize("name", ["config.json", "state.json", "checksums.json"])
@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_hostile_json_is_a_value_error(tmp_path, name, text):
    folder = save(tmp_path, "last", 100, ap=0.1)
    content = text.encode(errors="surrogatepass")
    if name == "checksums.json":
        (folder / name).write_bytes(content)
    else:
        rewrite(folder, name, content)
    with pytest.raises(ValueError, match="expected a whole checkpoint"):
        open_checkpoint(folder)
    with pytest.raises(ValueError, match="found none"):
        find_checkpoint(tmp_path, warn=lambda warning: None)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("state.json", "step", "7"),
        ("state.json", "step", 1e999),
        ("state.json", "step", True),
        ("state.json", "class_names", "abc"),
        ("state.json", "class_names", [1]),
        ("state.json", "metrics", []),
        ("state.json", "metrics", {"AP": "high"}),
        ("state.json", "best_AP", None),
        ("state.json", "input_size", 416.0),
        ("config.json", "unknown", 1),
        ("config.json", "tiny", "yes"),
        ("config.json", "seed", 1e999),
        ("config.json", "train_lr_init", 1e999),
        ("config.json", "train_lr_init", float("nan")),
        ("config.json", "train_input_size", 416.0),
        ("config.json", "train_input_scales", [[1.0]]),
        ("config.json", "train_classes", {}),
        ("config.json", "train_epochs", -1),
    ],
)
def test_wrong_value_is_a_value_error_that_names_it(tmp_path, name, field, value):
    folder = save(tmp_path, "last", 100, ap=0.1)
    content = json.loads((folder / name).read_text())
    rewrite(folder, name, json.dumps({**content, field: value}))
    with pytest.raises(ValueError, match=f"whole checkpoint; received .*{field}"):
        open_checkpoint(folder)


def test_file_without_a_checksum_is_refused(tmp_path):
    folder = save(tmp_path, "last", 100, ap=0.1)
    text = (folder / "checksums.json").read_text()
    for name in ("resume.safetensors", "model.safetensors"):
        (folder / "checksums.json").write_text(text.replace(name, "other"))
        with pytest.raises(ValueError, match="checksums.json of .*other"):
            open_checkpoint(folder)


def test_pickles_are_not_loaded(tmp_path):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    folder = save(tmp_path, "best", 100)
    rewrite(folder, "model.safetensors", pickle.dumps(Harm()))
    with pytest.raises(ValueError, match="expected a safetensors file"):
        open_checkpoint(folder).weights()
    assert not (tmp_path / "harm").exists()
