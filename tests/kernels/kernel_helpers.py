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


def to_bfloat16(w: np.ndarray) -> np.ndarray:
    """To the nearest float32 whose lower 16 bits are 0, ties to even."""
    bits = w.view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
    return bits.astype(np.uint32).view(np.float32)
