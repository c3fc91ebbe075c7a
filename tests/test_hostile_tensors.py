"""Tests of the weights of strangers: files of tensors that lie are refused in one line."""

import json
import struct

import pytest
from checkpoint_samples import rewrite, save

from yolov3.checkpoints import open_checkpoint


def safetensors_file(header, body=b"\0" * 16, size=None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + body


def tensor(dtype="F32", shape=(4,), offsets=(0, 16)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


HOSTILE_TENSORS = {
    "empty": b"",
    "no header": b"\0" * 8,
    "header of exabytes": safetensors_file({}, size=1 << 60),
    "header beyond the file": safetensors_file({}, size=90_000_000),
    "tensor of terabytes": safetensors_file({"a": tensor(shape=[1 << 38], offsets=[0, 1 << 40])}),
    "product overflows": safetensors_file({"a": tensor(shape=[1 << 33, 1 << 33])}),
    "nothing times exabytes": safetensors_file(
        {"a": tensor(shape=[0, 1 << 62], offsets=[0, 0])}, b""
    ),
    "65 dimensions": safetensors_file({"a": tensor(shape=[1] * 64 + [4])}),
    "overlap": safetensors_file({"a": tensor(), "b": tensor()}),
    "gap": safetensors_file({"a": tensor(), "b": tensor(offsets=[32, 48])}, b"\0" * 48),
    "other shape": safetensors_file({"a": tensor(shape=[5])}),
    "negative": safetensors_file({"a": tensor(shape=[-4])}),
    "float8": safetensors_file({"a": tensor("F8_E4M3", [16])}),
    "float4": safetensors_file({"a": tensor("F4", [32])}),
    "text": safetensors_file({"a": tensor("STR", [16])}),
    "no JSON": safetensors_file(b"[" * 100_000),
    "no UTF-8": safetensors_file(b'{"\xff": 1}'),
}


@pytest.mark.parametrize("content", HOSTILE_TENSORS.values(), ids=HOSTILE_TENSORS)
def test_hostile_tensors_are_a_value_error(tmp_path, content):
    folder = save(tmp_path, "last", 100)
    rewrite(folder, "model.safetensors", content)
    rewrite(folder, "resume.safetensors", content)
    checkpoint = open_checkpoint(folder)
    for read in (checkpoint.weights, checkpoint.resume_state):
        with pytest.raises(ValueError, match="not a safetensors file") as error:
            read()
        assert "\n" not in str(error.value)
