"""Tests of checkpoints from strangers: refused in one line; nothing is executed or overwritten."""

import json
import os
import pickle
import tracemalloc

import numpy as np
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


HOSTILE_TEXTS = [
    "",
    "[]",
    "5",
    "null",
    '"text"',
    "{",
    "[" * 100_000,
    "\ud800",
    "1" * 5000,
    '{"step": ' + "1" * 19 + "}",
]


@pytest.mark.parametrize("name", ["config.json", "state.json", "checksums.json"])
@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_hostile_json_is_a_value_error(tmp_path, name, text):
    folder = save(tmp_path, "last", 100, ap=0.1)
    content = text.encode(errors="surrogatepass")
    if name == "checksums.json":
        (folder / name).write_bytes(content)
    else:
        rewrite(folder, name, content)
    with pytest.raises(ValueError, match="damaged checkpoint"):
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
    with pytest.raises(ValueError, match=f"damaged checkpoint: .*{field}"):
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


@pytest.mark.parametrize("name", ["config.json", "state.json"])
def test_name_given_twice_is_refused(tmp_path, name):
    folder = save(tmp_path, "last", 100)
    text = (folder / name).read_text().rstrip().removesuffix("}")
    rewrite(folder, name, text + ', "seed": 4, "seed": 5}')
    with pytest.raises(ValueError, match="'seed' given twice"):
        open_checkpoint(folder)


def test_names_beyond_any_use_are_refused_before_they_are_parsed(tmp_path):
    folder = save(tmp_path, "last", 100)
    state = json.loads((folder / "state.json").read_text())
    names = [str(number) for number in range(2_000_000)]
    rewrite(folder, "state.json", json.dumps({**state, "class_names": names}))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="state.json: .* bytes, more than"):
            open_checkpoint(folder)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


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


def test_mutations_raise_nothing_but_value_errors(tmp_path):
    folder = save(tmp_path, "last", 100, ap=0.1)
    whole = {name: (folder / name).read_bytes() for name in FILES}
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        name = FILES[rng.integers(len(FILES))]
        content = bytearray(whole[name])
        for _ in range(rng.integers(1, 4)):
            place = rng.integers(len(content))
            content[place : place + rng.integers(0, 3)] = rng.bytes(rng.integers(0, 3))
        for other, original in whole.items():
            (folder / other).write_bytes(original)
        if name == "checksums.json":
            (folder / name).write_bytes(content)
        else:
            rewrite(folder, name, bytes(content))
        try:
            checkpoint = open_checkpoint(folder)
            checkpoint.weights()
            checkpoint.resume_state()
        except ValueError as error:
            assert str(folder) in str(error)
            refused += 1
    assert 150 < refused < 300
