"""The k best logits: values, ids, ties and what never enters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyengine._core import available_isas, kernels


def top_k(logits: np.ndarray, k: int, first_id: int) -> tuple[np.ndarray, np.ndarray]:
    """The definition: descending, equal values by lower id; -inf never enters."""
    order = np.argsort(-logits, kind="stable")[:k]
    order = order[logits[order] > -np.inf]
    values, ids = np.full(k, -np.inf, np.float32), np.full(k, -1, np.int32)
    values[: len(order)], ids[: len(order)] = logits[order], first_id + order
    return values, ids


@settings(max_examples=200)
@given(
    size=st.integers(1, 300),
    k=st.integers(1, 40),
    run_size=st.sampled_from([1, 7, 16, 32, 33, 512]),
    distinct=st.sampled_from([1, 2, 5, 1000]),  # few: many ties
    banned=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_logits(size, k, run_size, distinct, banned, seed):
    rng = np.random.default_rng(seed)
    logits = rng.integers(-distinct, distinct, size).astype(np.float32)
    logits[rng.random(size) < banned] = -np.inf
    expected = top_k(logits, k, 100)
    for isa in available_isas():
        values, ids = kernels.top_k(isa, logits, k, 100, run_size)
        np.testing.assert_array_equal(values, expected[0])
        np.testing.assert_array_equal(ids, expected[1])


@pytest.mark.parametrize("order", [1, -1])
def test_sorted_logits(isa, order):
    logits = np.arange(1000, dtype=np.float32)[::order].copy()
    values, ids = kernels.top_k(isa, logits, 5)
    np.testing.assert_array_equal(values, [999, 998, 997, 996, 995])
    np.testing.assert_array_equal(ids, [999, 998, 997, 996, 995] if order == 1 else range(5))


def test_nan_never_enters(isa):
    logits = np.full(50, np.nan, np.float32)
    logits[[3, 40]] = [1.0, 2.0]
    values, ids = kernels.top_k(isa, logits, 3)
    np.testing.assert_array_equal(ids, [40, 3, -1])
    np.testing.assert_array_equal(values, [2.0, 1.0, -np.inf])
