"""One vector of the last hidden states of a text, by the names that sentence-transformers uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pyengine.errors import OptionError, excerpt

Floats = NDArray[np.float32]
Pool = Callable[[Floats], Floats]
"""The vector [hidden_size] of the hidden states [tokens, hidden_size] of one text."""


def _mean(hidden: Floats) -> Floats:
    return cast(Floats, hidden.sum(axis=0) / np.float32(len(hidden)))


def _mean_by_root(hidden: Floats) -> Floats:
    return cast(Floats, hidden.sum(axis=0) / np.sqrt(np.float32(len(hidden))))


def _weighted_mean(hidden: Floats) -> Floats:
    """The mean with the weights 1, 2, 3 and so on."""
    weights = np.arange(1, len(hidden) + 1, dtype=np.float32)
    return cast(Floats, (hidden * weights[:, None]).sum(axis=0) / weights.sum())


POOLINGS: dict[str, Pool] = {
    "mean": _mean,
    "cls": lambda hidden: hidden[0],
    "max": lambda hidden: hidden.max(axis=0),
    "mean_sqrt_len_tokens": _mean_by_root,
    "weightedmean": _weighted_mean,
    "lasttoken": lambda hidden: hidden[-1],
}


def checked_pooling(pooling: object) -> tuple[str, ...]:
    """The name of a pooling, as a tuple of one.

    Raises:
        OptionError: there is none of this name.
    """
    if not isinstance(pooling, str) or pooling not in POOLINGS:
        known = ", ".join(map(repr, POOLINGS))
        raise OptionError(f"pooling: found {excerpt(pooling)}, expected {known}")
    return (pooling,)


def pool(hidden: Floats, names: Sequence[str]) -> Floats:
    """The vectors of several poolings one after another, [len(names) * hidden_size]."""
    vectors = [POOLINGS[name](hidden) for name in names]
    return vectors[0] if len(vectors) == 1 else np.concatenate(vectors)


def normalized(vectors: Floats) -> Floats:
    """Vectors [texts, size] divided by their Euclidean lengths."""
    lengths = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    return cast(Floats, vectors / np.maximum(lengths, np.float32(1e-12)))
