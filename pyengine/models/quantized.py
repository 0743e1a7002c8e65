"""int8 weights among a model's tensors, and their float32 values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SCALE = "_scale"
"""What the name of a weight's scales adds to its own."""


def holds_int8(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether any weight is int8."""
    return any(name.endswith(f".weight{SCALE}") for name in tensors)


def dequantized(tensors: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The same model in float32. Tied tables stay tied: they are views of one array."""
    if not holds_int8(tensors):
        return tensors
    # By the first byte of the int8 values and by the scales: the former, which keep their place,
    # and their float32 values.
    tables: dict[tuple[int, bytes], tuple[np.ndarray, np.ndarray]] = {}
    values = {}
    for name in tensors:
        array = tensors[name]
        if array.dtype != np.int8:
            if not (name.endswith(SCALE) and name.removesuffix(SCALE) in tensors):
                values[name] = array
            continue
        scale = tensors[name + SCALE]
        if "embed_tokens" in name or name == "lm_head.weight":
            is_table = "embed_tokens" in name
            rows = array if is_table else array.T
            key = rows.__array_interface__["data"][0], scale.tobytes()
            if key not in tables:
                tables[key] = rows, np.multiply(rows, scale[:, None], dtype=np.float32)
            table = tables[key][1]
            values[name] = table if is_table else table.T
        else:
            values[name] = np.multiply(array, scale, dtype=np.float32)
    return values
