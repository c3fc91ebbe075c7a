"""Tests of checkpoints from strangers: refused in one line; nothing is executed or overwritten."""

import json
import os
import pickle

import pytest
from checkpoint_samples import rewrite, save

from yolov3.checkpoints import find_checkpoint, open_checkpoint

FILES = ("model.safetensors", "resume.safetensors", "config.json", "state.json", "checksums.json")


def make_link(path, target):
    path.symlink_to(target)


def make_pipe(path, _):
    os.mkfifo(path)


def make_folder(path, _):
    path.mkdir()


@pytest.mark.parametrize("name", ["config.json", "state.json", "checksums.json"])
@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000], ids=["empty", "list", "nested"])
def test_hostile_json_is_a_value_error(tmp_path, name, text):
    folder = save(tmp_path, "last", 100, ap=0.1)
    if name == "checksums.json":
        (folder / name).write_text(text)
    else:
        rewrite(folder, name, text)
    with pytest.raises(ValueError, match=f"{tmp_path}.*{name}"):
        open_checkpoint(folder)
    with pytest.raises(ValueError, match="no checkpoint in"):
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
        ("state.json", "metrics", {"mAP": "high"}),
        ("state.json", "best_mAP", None),
        ("state.json", "input_size", 416.0),
        ("state.json", "input_size", 0),
        ("state.json", "input_size", 1 << 40),
        ("state.json", "step", -1),
        ("state.json", "epoch", -1),
        ("state.json", "class_names", []),
        ("state.json", "class_names", ["a", "a"]),
        ("config.json", "unknown", 1),
        ("config.json", "tiny", "yes"),
        ("config.json", "seed", 1e999),
        ("config.json", "train_lr_init", 1e999),
        ("config.json", "train_lr_init", float("nan")),
        ("config.json", "train_input_size", 416.0),
        ("config.json", "train_input_scales", [[1.0]]),
        ("config.json", "train_classes", {}),
        ("config.json", "train_epochs", -1),
        ("config.json", "train_input_size", 1 << 40),
    ],
)
def test_wrong_value_is_a_value_error_that_names_it(tmp_path, name, field, value):
    folder = save(tmp_path, "last", 100, ap=0.1)
    content = json.loads((folder / name).read_text())
    rewrite(folder, name, json.dumps({**content, field: value}))
    with pytest.raises(ValueError, match=f"{tmp_path}.*{name}.*{field}"):
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
    with pytest.raises(ValueError, match="not a safetensors file"):
        open_checkpoint(folder).weights()
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", [make_link, make_pipe, make_folder])
def test_what_is_no_file_of_the_folder_is_refused(tmp_path, name, change):
    folder = save(tmp_path / "run", "last", 100, ap=0.1)
    (folder / name).rename(tmp_path / name)
    change(folder / name, tmp_path / name)
    with pytest.raises(ValueError, match=f"damaged checkpoint: {name}"):
        open_checkpoint(folder)
    for kind in ("best", "last"):
        with pytest.raises(ValueError, match="no checkpoint in"):
            find_checkpoint(tmp_path / "run", kind, warn=lambda warning: None)


def test_links_among_checkpoints_lead_nowhere_and_are_not_followed_on_removal(tmp_path):
    outside = save(tmp_path / "outside", "last", 999)
    run = tmp_path / "run"
    run.mkdir()
    for name in ("last-000999", "last-000100", "last-000200", "best-000100", ".a.partial"):
        (run / name).symlink_to(outside)
    (run / "last-000300.replaced").symlink_to(outside)
    with pytest.raises(ValueError, match="no checkpoint in"):
        find_checkpoint(run, "last")
    for step in (100, 200, 300):
        save(run, "last", step)
    assert {"last-000200", "last-000300"} <= set(os.listdir(run))
    assert find_checkpoint(run, "last").step == 300
    assert open_checkpoint(outside).step == 999
