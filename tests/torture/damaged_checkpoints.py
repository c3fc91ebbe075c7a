"""Checkpoints, damaged and loaded."""

import hashlib
import json
import math
import struct
from pathlib import Path

from tests.checkpoint_samples import RESUME, WEIGHTS, save
from tests.torture.mutants import mutate, mutate_json

TENSOR_TYPES = ("F64", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "C64", "F128")


class Checkpoints:
    """Damage a checkpoint and load all of it: `checkpoints(rng)` says what went wrong."""

    def __init__(self, folder: Path):
        import tensorflow as tf

        self.folder = save(folder, "last", 5, ap=0.5)
        self.files = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        self.weights, self.resume = (
            {name: tf.Variable(values) for name, values in part.items()}
            for part in (WEIGHTS, RESUME)
        )

    def __call__(self, rng) -> str:
        from yolov3.checkpoints import open_checkpoint
        from yolov3.weights import assign_by_name

        for name, content in self.files.items():
            (self.folder / name).write_bytes(content)
        self._damage(rng)
        try:
            checkpoint = open_checkpoint(self.folder)
            assign_by_name(self.weights, checkpoint.weights())
            assign_by_name(self.resume, checkpoint.resume_state())
        except ValueError as error:
            return "" if str(error) else "a ValueError without words"
        return _odd(checkpoint)

    def _damage(self, rng):
        name = sorted(self.files)[rng.integers(len(self.files))]
        content = self.files[name]
        if name.endswith(".json") and rng.random() < 0.8:
            damaged = mutate_json(content.decode(), rng).encode(errors="surrogateescape")
        elif name.endswith(".safetensors") and rng.random() < 0.5:
            damaged = _mutate_tensor_header(content, rng)
        else:
            damaged = mutate(content, rng)
        (self.folder / name).write_bytes(damaged)
        if name != "checksums.json" and rng.random() < 0.75:
            sums = json.loads(self.files["checksums.json"])
            sums[name] = hashlib.sha256(damaged).hexdigest()
            (self.folder / "checksums.json").write_text(json.dumps(sums))


def _mutate_tensor_header(content, rng):
    """Change a value of the JSON in front of a safetensors file; its length is made to fit."""
    length = struct.unpack("<Q", content[:8])[0]
    header = content[8 : 8 + length].decode()
    if rng.random() < 0.3:  # the other types of the format
        kind = TENSOR_TYPES[rng.integers(len(TENSOR_TYPES))]
        header = header.replace("F32", kind, int(rng.integers(1, 3)))
    else:
        header = mutate_json(header, rng)
    header = header.encode(errors="surrogateescape")
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def _odd(checkpoint) -> str:
    """Describe a checkpoint that was opened though it cannot be; "" for a possible one."""
    is_possible = (
        min(checkpoint.step, checkpoint.epoch) >= 0
        and checkpoint.input_size >= 32
        and checkpoint.input_size % 32 == 0
        and checkpoint.class_names
        and math.isfinite(checkpoint.best_mAP)
    )
    return "" if is_possible else f"opened: {checkpoint}"
