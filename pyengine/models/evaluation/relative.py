"""T5's buckets of distances (Raffel et al. 2020, 2.1), in float32 as transformers does."""

from __future__ import annotations

import math

import numpy as np


def relative_buckets(
    distances: np.ndarray, buckets: int, farthest: int, both_ways: bool
) -> np.ndarray:
    """The bucket of each distance, a key's position less its query's.

    Args:
        buckets: how many there are; half of them hold keys that come later if `both_ways`, else
            such keys count as near.
        farthest: the distance from which on all are in the last bucket.
    """
    if not both_ways:
        return _bucket(np.maximum(-distances, 0), buckets, farthest)
    half = buckets // 2
    later = np.where(distances > 0, half, 0)
    rows: np.ndarray = later + _bucket(np.abs(distances), half, farthest)
    return rows


def _bucket(distances: np.ndarray, buckets: int, farthest: int) -> np.ndarray:
    """Half of the buckets hold one distance each, the others grow with its logarithm."""
    exact = buckets // 2
    ratio = np.log(np.maximum(distances, 1).astype(np.float32) / np.float32(exact))
    growth = ratio / np.float32(math.log(farthest / exact)) * np.float32(buckets - exact)
    far = np.minimum(exact + growth.astype(np.int64), buckets - 1)
    return np.where(distances < exact, distances, far)
