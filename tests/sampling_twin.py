"""Sampling in NumPy: SplitMix64 and the warpers, as csrc/decode computes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

MASK, STEP = 2**64 - 1, 0x9E3779B97F4A7C15


def mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def uniform(seed: int, ids: Sequence[int], sample: int, index: int) -> float:
    """Number `index` of the stream of one sample of a sentence."""
    key = mix((seed + STEP) & MASK)
    for number in (*ids, sample):
        key = mix((key + STEP + number) & MASK)
    return (mix((key + STEP * (index + 1)) & MASK) >> 11) * 2.0**-53


class Warpers(NamedTuple):
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0


def probabilities(logits: np.ndarray, warpers: Warpers) -> tuple[np.ndarray, np.ndarray]:
    """(ids, probabilities) that are left of a row, in the order in which they are drawn from."""
    values = (logits / np.float32(warpers.temperature)).astype(np.float64)
    best_first = np.argsort(-values, kind="stable")
    best_first = best_first[values[best_first] > -np.inf]
    if warpers.top_k:
        best_first = best_first[: warpers.top_k]
    weights = np.exp(values[best_first] - values[best_first[0]])
    above = np.cumsum(weights) - weights
    kept = (above < warpers.top_p * weights.sum()) | (warpers.top_p == 1)
    kept[0] = True
    ids = best_first[kept & (weights >= warpers.min_p)]
    if warpers.typical_p < 1:
        ids = typical(values, ids, warpers.typical_p)
    if not warpers.top_k:
        ids = np.sort(ids)
    weights = np.exp(values[ids] - values[best_first[0]])
    return ids, weights / weights.sum()


def typical(values: np.ndarray, ids: np.ndarray, mass: float) -> np.ndarray:
    """Those of `ids` whose information is nearest to the entropy, up to a total probability."""
    information = (
        np.log(np.exp(values[ids] - values[ids].max()).sum()) + values[ids].max() - values[ids]
    )
    probability = np.exp(-information)
    distance = np.abs(information - (probability * information).sum())
    nearest = np.argsort(distance, kind="stable")
    last = np.searchsorted(np.cumsum(probability[nearest]), mass)
    return ids[distance <= distance[nearest[min(last, len(ids) - 1)]] + 1e-9]


def sample(
    logits_after: Callable[[list[int]], np.ndarray],
    key_ids: Sequence[int],
    number: int,
    seed: int,
    warpers: Warpers,
    max_new_tokens: int,
    ends: Sequence[int] = (),
) -> tuple[list[int], float]:
    """Sample `number` of a sentence and the sum of its log-probabilities; the end token is kept."""
    ids: list[int] = []
    total = 0.0
    for index in range(max_new_tokens):
        choices, shares = probabilities(logits_after(ids), warpers)
        point = uniform(seed, key_ids, number, index)
        place = min(int(np.searchsorted(np.cumsum(shares), point, "right")), len(choices) - 1)
        ids.append(int(choices[place]))
        total += float(np.log(shares[place]))
        if ids[-1] in ends:
            break
    return ids, total
