"""Damage bytes and JSON values at random."""

import copy
import json
import struct

import numpy as np

NUMBERS = (0, 1, 2, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
HEADER = 64  # bytes from the start that hold sizes and counts in most formats
STRANGE = (
    *(None, True, False, 0, -1, 1, 7, 1e308, -0.5, 2**31, 2**64, 10**30, float("nan")),
    *(float("inf"), "", "x", "0", "\0", "../../escaped", "/etc/passwd", "é" * 999, [], {}, [[]]),
    *([0, 1], [1e9], ["a", "a"], {"a": 0}, {"__class__": "os.system"}, {"mAP": "high"}),
)


def mutate(data: bytes, rng) -> bytes:
    """Return damaged bytes: flipped bits, a cut, a gap, foreign bytes, a wild number in front."""
    damage = rng.choice([_flip, _cut, _noise, _number, _number, _replace, _replace, _replace])
    return damage(data, rng)


def _flip(data, rng):
    damaged = bytearray(data)
    reach = len(data) if rng.random() < 0.5 else min(len(data), HEADER)
    for place in rng.integers(0, reach, rng.integers(1, 9)):
        damaged[place] ^= 1 << rng.integers(0, 8)
    return bytes(damaged)


def _replace(data, rng):
    """Put nothing, zeros, ones, other bytes or twice the same in place of some bytes."""
    start, length = rng.integers(0, len(data)), int(2 ** rng.uniform(0, 12))
    before, old, behind = data[:start], data[start : start + length], data[start + length :]
    noise = rng.bytes(rng.integers(1, 4096))
    new = [b"", bytes(len(old)), b"\xff" * len(old), noise, noise + old, old + old]
    return before + new[rng.integers(len(new))] + behind


def _cut(data, rng):
    return data[: rng.integers(0, len(data))]


def _number(data, rng):
    """Write an extreme number, of 2, 4 or 8 bytes and either order, over the header."""
    size = int(rng.choice([2, 4, 8]))
    number = int(rng.choice(np.array(NUMBERS, np.uint64))) % 2 ** (8 * size)
    place = rng.integers(0, max(1, min(HEADER, len(data) - size)))
    code = {2: "H", 4: "I", 8: "Q"}[size]
    written = struct.pack(rng.choice(["<", ">"]) + code, number)
    return data[:place] + written + data[place + size :]


def _noise(data, rng):
    return rng.bytes(rng.integers(0, 4096))


def mutate_json(text: str, rng) -> str:
    """Return a JSON text with one value or name changed, or broken as a text."""
    if rng.random() < 0.2:
        return mutate(text.encode(), rng).decode(errors="surrogateescape")
    if rng.random() < 0.05:
        return "[" * 100_000
    value = json.loads(text)
    holder, key = _pick(value, rng)
    if rng.random() < 0.15:
        del holder[key]
    elif rng.random() < 0.15 and isinstance(holder, dict):
        holder["added"] = copy.deepcopy(holder[key])
    else:
        holder[key] = copy.deepcopy(STRANGE[rng.integers(len(STRANGE))])
    return json.dumps(value)


def _pick(value, rng):
    """Return a random place inside nested dicts and lists: its holder and key."""
    places, waiting = [], [value]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            places.append((holder, key))
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
    return places[rng.integers(len(places))]


def unless_named(path, error: ValueError) -> str:
    """Return "" if an error names the file, as all do that are documented."""
    return "" if str(path) in str(error) else f"a ValueError that does not name the file: {error}"
