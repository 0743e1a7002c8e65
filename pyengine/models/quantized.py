"""int8 weights among a model's tensors, and their float32 values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SCALE = "_scale"
"""What the name of a weight's scales adds to its own."""


def holds_int8(tensors: Mapping[str, np.ndarray]) -> bool:
    """Whether any weight is int8."""
    return any(array.dtype == np.int8 for array in tensors.values())


def dequantized(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same model in float32. Tied tables stay tied: they are views of one array."""
    tables: dict[int, np.ndarray] = {}  # by the first byte of the int8 values: [rows, width]
    values = {}
    for name, array in tensors.items():
        if array.dtype != np.int8:
            if not (name.endswith(SCALE) and name.removesuffix(SCALE) in tensors):
                values[name] = array
            continue
        scale = tensors[name + SCALE]
        if "embed_tokens" in name or name == "lm_head.weight":
            is_table = "embed_tokens" in name
            rows = array if is_table else array.T
            key = rows.__array_interface__["data"][0]
            if key not in tables:
                tables[key] = np.multiply(rows, scale[:, None], dtype=np.float32)
            values[name] = tables[key] if is_table else tables[key].T
        else:
            values[name] = np.multiply(array, scale, dtype=np.float32)
    return values
