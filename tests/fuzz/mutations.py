"""Random changes of bytes, texts and JSON values, with the values that programs stumble over."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Iterator
from typing import Any

INTEGERS = (
    *(-(2**63), -(2**31), -129, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 63, 64, 127, 128, 255, 256),
    *(1000, 65535, 65536, 2**24 - 1, 2**24, 2**24 + 1, 2**31 - 2, 2**31 - 1, 2**31, 2**32 - 1),
    *(2**32, 2**40, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64),
)
FLOATS = (
    *(0.0, -0.0, 0.5, 1.0, -1.5, 1e-6, 1e-45, 1e6, 3.5e38, 1e308, 5e-324),
    *(float("inf"), float("-inf"), float("nan")),
)
TEXTS = (
    *("", " ", "a", "a b", "\0", "\ud800", "\udcff", "\u2581", "\U0001f600", "e\u0301", "\u202e"),
    *("null", "-1", "0", "1e999", "</s>", "<unk>", "<pad>", "<0x0A>", "<0xZZ>", ">>de<<", "__de__"),
    *("a" * 300, "\n", "../../etc/passwd", "/dev/zero", "en", "de_DE", "deu_Latn", "x" * 70000),
)
_MANY_DIGITS = "9" * 5000
_DEEP = 3000


def changed_bytes(rng: random.Random, data: bytes) -> bytes:
    """Bytes with up to four changes: other values, a piece cut out, put in, doubled or zeroed."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        start = rng.randrange(len(changed) + 1)
        length = rng.choice((1, 2, 4, 8, rng.randrange(64), rng.randrange(len(changed) + 1)))
        piece = changed[start : start + length]
        replacement: bytes | bytearray = rng.choice(
            (
                b"",
                bytes(length),
                piece + piece,
                bytes(byte ^ (1 << rng.randrange(8)) for byte in piece[:64]) + piece[64:],
                rng.randbytes(min(length, 64)),
                packed_integer(rng),
            )
        )
        changed[start : start + length] = replacement
    return bytes(changed)


def packed_integer(rng: random.Random) -> bytes:
    """One of the integers above, little-endian in 1 to 8 bytes."""
    size = rng.choice((1, 2, 4, 8))
    return struct.pack("<Q", odd_integer(rng) % 2**64)[:size]


def odd_integer(rng: random.Random) -> int:
    """An integer near a limit, or a small one."""
    return rng.choice(INTEGERS) if rng.random() < 0.8 else rng.randrange(-4, 70)


def odd_value(rng: random.Random, depth: int = 0) -> Any:
    """A JSON value of any kind."""
    kind = rng.randrange(8 if depth < 2 else 5)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind in (1, 2):
        return odd_integer(rng)
    if kind == 3:
        return rng.choice(FLOATS)
    if kind == 4:
        return rng.choice(TEXTS)
    if kind == 5:
        return {rng.choice(TEXTS): odd_value(rng, depth + 1) for _ in range(rng.randrange(3))}
    value = odd_value(rng, depth + 1)
    if kind == 7:
        return [value, odd_value(rng, 2)]
    return [value] * rng.choice((0, 1, 2, 1000 if type(value) in (int, float) else 3))


def changed_json(rng: random.Random, text: bytes) -> bytes:
    """A JSON text with up to four changes: values, keys, entries; now and then of its bytes."""
    value = json.loads(text)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        value = _changed_value(rng, value)
    changed = json.dumps(value).encode()
    chance = rng.random()
    if chance < 0.05:
        return changed_bytes(rng, changed)
    if chance < 0.07:
        return _with_another_number(rng, changed, _MANY_DIGITS.encode())
    if chance < 0.08:
        return _with_another_number(rng, changed, b"[" * _DEEP + b"]" * _DEEP)
    return changed


def _changed_value(rng: random.Random, value: Any) -> Any:
    places = list(_places(value))
    if not places or rng.random() < 0.01:
        return odd_value(rng)
    container, key = rng.choice(places)
    kind = rng.randrange(6)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, dict):
        container[rng.choice((rng.choice(TEXTS), key + "_", key[:-1]))] = container[key]
    elif kind == 1:
        container.insert(key, container[key])
    elif kind == 2:
        other, its_key = rng.choice(places)
        if _is_inside(container[key], other) or _is_inside(other[its_key], container):
            return value
        container[key], other[its_key] = other[its_key], container[key]
    elif kind == 3 and type(container[key]) in (int, float):
        container[key] = container[key] * rng.choice((-1, 2, 0.5)) + rng.choice((-1, 0, 1))
    else:
        container[key] = odd_value(rng)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key inside; of long lists and tables a few."""
    if not isinstance(value, (dict, list)):
        return
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys if len(keys) <= 64 else [*keys[:48], *keys[-16:]]:
        yield value, key
        yield from _places(value[key])


def _is_inside(value: Any, container: Any) -> bool:
    """Whether a container is a value or lies in it: to put it there would close a circle."""
    if value is container:
        return True
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_is_inside(part, container) for part in parts if isinstance(part, (dict, list)))


def _with_another_number(rng: random.Random, text: bytes, number: bytes) -> bytes:
    found = list(re.finditer(rb"(?<=[ \[])-?\d+(?=[,}\]])", text))
    if not found:
        return text
    place = rng.choice(found)
    return text[: place.start()] + number + text[place.end() :]
