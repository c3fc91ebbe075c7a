"""Tests of checkpoints from strangers: refused in one line; nothing is executed or overwritten."""

import json
import os
import pickle
import struct

import pytest
from checkpoint_samples import names, rewrite, save

from yolov3.checkpoints import open_checkpoint


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("state.json", "step", "7"),
        ("state.json", "class_names", [1]),
        ("state.json", "metrics", {"mAP": "high"}),
        ("state.json", "best_mAP", None),
        ("state.json", "input_size", 0),
        ("state.json", "step", -1),
        ("state.json", "epoch", -1),
        ("state.json", "class_names", []),
        ("state.json", "class_names", ["a", "a"]),
        ("config.json", "unknown", 1),
        ("config.json", "tiny", "yes"),
        ("config.json", "train_lr_init", float("nan")),
        ("config.json", "train_lr_init", 10**400),  # more than a float can hold
        ("config.json", "anchors", [[[10**400, 1]] * 3] * 3),
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


def safetensors_file(dtype, shape, offsets=(0, 16)) -> bytes:
    """Return a file of one tensor, of 16 bytes whatever its header says."""
    header = json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(16)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 1 << 60),  # a header of exabytes
        safetensors_file("F32", [1 << 38], [0, 1 << 40]),
        safetensors_file("F32", [1 << 33, 1 << 33]),  # the product overflows
        safetensors_file("F32", [1] * 64 + [4]),  # more dimensions than NumPy has
        safetensors_file("F8_E4M3", [16]),
        safetensors_file("F4", [32]),
    ],
)
def test_tensors_that_lie_are_a_value_error(tmp_path, content):
    folder = save(tmp_path, "last", 100)
    rewrite(folder, "resume.safetensors", content)
    with pytest.raises(ValueError, match="not a safetensors file") as error:
        open_checkpoint(folder).resume_state()
    assert "\n" not in str(error.value)


def test_pickles_are_not_loaded(tmp_path):
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    folder = save(tmp_path, "best", 100)
    rewrite(folder, "model.safetensors", pickle.dumps(Harm()))
    with pytest.raises(ValueError, match="not a safetensors file"):
        open_checkpoint(folder).weights()
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "checksums.json"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_folder_in_place_of_a_file_is_refused(tmp_path, name, make):
    folder = save(tmp_path, "last", 100)
    (folder / name).unlink()
    make(folder / name)
    with pytest.raises(ValueError, match=f"damaged checkpoint: .*{name}"):
        open_checkpoint(folder)


@pytest.mark.parametrize("name", ["last-000100", ".a.partial", "last-000300.replaced"])
def test_links_among_checkpoints_are_not_followed_on_removal(tmp_path, name):
    outside = save(tmp_path / "outside", "last", 999)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(outside)
    for step in (200, 300, 400):
        save(tmp_path / "run", "last", step)
    assert names(tmp_path / "run") == ["last-000300", "last-000400"]
    assert open_checkpoint(outside).step == 999
