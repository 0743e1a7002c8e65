"""Comparisons of the kernel tests."""

from __future__ import annotations

import numpy as np

EPS = float(np.finfo(np.float32).eps)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Standard normal float32 [*shape]."""
    return rng.standard_normal(shape, dtype=np.float32)


def assert_same_bits(a: np.ndarray, b: np.ndarray) -> None:
    """Equal to the bit, the sign of zero included."""
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    assert a.shape == b.shape
    different = np.argwhere(a.view(np.int32) != b.view(np.int32))
    assert not len(different), f"first difference at {different[0]}"


def assert_within(found: np.ndarray, expected: np.ndarray, bound: np.ndarray | float) -> None:
    """|found - expected| <= bound, entry by entry; a NaN anywhere fails."""
    excess = np.abs(np.asarray(found, np.float64) - expected) - bound
    assert np.all(excess <= 0), f"beyond the bound by {np.max(excess)}"
