"""int8 weights among a model's tensors, and their float32 values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SCALE = "_scale"
"""What the name of a weight's scales adds to its own."""
ZERO_POINT = "_zero_point"
"""The same of its zero points, which a weight without them has at 0."""
_STEPS = (SCALE, ZERO_POINT)


def holds_int8(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether any weight is int8."""
    return any(name.endswith(f".weight{SCALE}") for name in tensors)


def dequantized(tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The same model in float32. Tied tables stay tied: they are views of one array."""
    if not holds_int8(tensors):
        return tensors
    # By the first byte of the int8 values and by what they stand for: the former, which keep their
    # place, and their float32 values.
    tables: dict[tuple[int, bytes, bytes], tuple[np.ndarray, np.ndarray]] = {}
    values = {}
    for name in tensors:
        array = tensors[name]
        if array.dtype != np.int8:
            if not any(name.endswith(e) and name.removesuffix(e) in tensors for e in _STEPS):
                values[name] = array
            continue
        scale = tensors[name + SCALE]
        zero_point = tensors.get(name + ZERO_POINT, np.zeros_like(scale))
        if "embed_tokens" in name or name == "lm_head.weight":
            is_table = "embed_tokens" in name
            rows = array if is_table else array.T
            key = rows.__array_interface__["data"][0], scale.tobytes(), zero_point.tobytes()
            if key not in tables:
                tables[key] = rows, _values(rows, scale[:, None], zero_point[:, None])
            table = tables[key][1]
            values[name] = table if is_table else table.T
        else:
            values[name] = _values(array, scale, zero_point)
    return values


def _values(integers: np.ndarray, scale: np.ndarray, zero_point: np.ndarray) -> np.ndarray:
    """float32 in the memory of one array of that size; the differences are exact."""
    values: np.ndarray = np.subtract(integers, zero_point, dtype=np.float32)
    values *= scale
    return values
