"""Attention: against float64, causal or not, with keys spread over a beam."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_helpers import EPS, assert_same_bits, assert_within, normal, to_bfloat16

from pyengine._core import available_isas, kernels

# queries, keys, head_dim: around tiles of 4 queries, blocks of 16 keys, vectors of 16 dimensions
SHAPES = [
    (1, 1, 1),
    (1, 15, 24),
    (2, 16, 32),
    (3, 17, 64),
    (4, 33, 80),
    (5, 64, 16),
    (7, 129, 48),
    (9, 300, 100),
]


def attention(q, k, v, scale, num_keys):
    """softmax(scale * q k^T) v in float64, query i over the keys before num_keys[i]."""
    scores = scale * (q.astype(np.float64) @ k.T.astype(np.float64))
    scores[np.arange(len(k)) >= np.asarray(num_keys)[:, None]] = -np.inf
    weights = np.exp(scores - scores.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True) @ v


def problem(rng, queries, keys, head_dim):
    """query, keys, values, and the scale of the paper."""
    q, k, v = (normal(rng, n, head_dim) for n in (queries, keys, keys))
    return q * 2, k, v, head_dim**-0.5


@pytest.mark.parametrize(("queries", "keys", "head_dim"), SHAPES)
@pytest.mark.parametrize("causal", [False, True])
def test_close_to_float64(isa, rng, queries, keys, head_dim, causal):
    q, k, v, scale = problem(rng, queries, keys, head_dim)
    num_keys = np.maximum(keys - np.arange(queries)[::-1], 1) if causal else np.full(queries, keys)
    found = kernels.attention(isa, q, k, v, scale, num_keys, [0] * keys)
    # An error e of a score is a factor 1 + e of a weight, and scores err by EPS of their norms.
    score_norm = scale * (np.abs(q) @ np.abs(k).T).max()
    bound = EPS * np.abs(v).max() * (head_dim / 2 * score_norm + keys + 8)
    assert_within(found, attention(q, k, v, scale, num_keys), bound)


@pytest.mark.parametrize(("queries", "keys", "head_dim"), SHAPES)
def test_queries_do_not_see_each_other(isa, rng, queries, keys, head_dim):
    q, k, v, scale = problem(rng, queries, keys, head_dim)
    num_keys = rng.integers(1, keys + 1, queries)
    together = kernels.attention(isa, q, k, v, scale, num_keys, [0] * keys)
    for i, n in enumerate(num_keys):
        # Alone, and with the keys it cannot see taken away altogether.
        alone = kernels.attention(isa, q[i : i + 1], k[:n], v[:n], scale, [n], [0] * n)
        assert_same_bits(alone[0], together[i])


@pytest.mark.parametrize("queries", [1, 2, 4, 5])
@pytest.mark.parametrize("heads", [2, 3, 4, 7, 8])
def test_heads_do_not_see_each_other(isa, rng, queries, heads):
    keys, head_dim = 37, 24
    q, k, v, scale = problem(rng, queries, keys, heads * head_dim)
    num_keys = rng.integers(1, keys + 1, queries)
    owner = rng.integers(0, 3, keys).tolist()
    together = kernels.attention(isa, q, k, v, scale, num_keys, owner, heads)
    for head in range(heads):
        own = slice(head * head_dim, (head + 1) * head_dim)
        parts = (np.ascontiguousarray(x[:, own]) for x in (q, k, v))
        alone = kernels.attention(isa, *parts, scale, num_keys, owner)
        assert_same_bits(alone, np.ascontiguousarray(together[:, own]))


@settings(max_examples=60)
@given(
    queries=st.integers(1, 9),
    keys=st.integers(1, 140),
    head_dim=st.integers(1, 100),
    rows=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_isas_and_segments_agree(queries, keys, head_dim, rows, seed):
    """Whichever cache rows hold the positions (lanes they do not hold are NaN), on every ISA."""
    rng = np.random.default_rng(seed)
    q, k, v, scale = problem(rng, queries, keys, head_dim)
    num_keys = rng.integers(1, keys + 1, queries)
    expected = kernels.attention("scalar", q, k, v, scale, num_keys, [0] * keys)
    assert np.all(np.isfinite(expected))
    owner = rng.integers(0, rows, keys).tolist()
    for isa in available_isas():
        assert_same_bits(kernels.attention(isa, q, k, v, scale, num_keys, owner), expected)


@pytest.mark.parametrize(("queries", "keys", "head_dim"), SHAPES)
@pytest.mark.parametrize("heads", [1, 2, 5])
def test_biases_are_added_to_the_scores(isa, rng, queries, keys, head_dim, heads):
    q, k, v, scale = problem(rng, queries, keys, heads * head_dim)
    num_keys = rng.integers(1, keys + 1, queries)
    owner = rng.integers(0, 3, keys).tolist()
    biases = normal(rng, heads, queries, keys) * 3
    rest = {"num_heads": heads, "biases": biases}
    found = kernels.attention(isa, q, k, v, scale, num_keys, owner, **rest)
    for head in range(heads):
        own = slice(head * head_dim, (head + 1) * head_dim)
        for i, n in enumerate(num_keys):
            scores = scale * (k[:n, own].astype(np.float64) @ q[i, own]) + biases[head, i, :n]
            weights = np.exp(scores - scores.max())
            expected = weights / weights.sum() @ v[:n, own]
            norms = scale * (np.abs(k[:n, own]) @ np.abs(q[i, own])).max() + np.abs(biases).max()
            bound = EPS * np.abs(v).max() * (head_dim * norms + keys + 8)
            assert_within(found[i, own], expected, bound)
    assert_same_bits(found, kernels.attention("scalar", q, k, v, scale, num_keys, owner, **rest))
    zeros = {"num_heads": heads, "biases": np.zeros_like(biases)}
    without = kernels.attention(isa, q, k, v, scale, num_keys, owner, heads)
    assert_same_bits(kernels.attention(isa, q, k, v, scale, num_keys, owner, **zeros), without)


@pytest.mark.parametrize("queries", [1, 2, 3, 4, 6])
@pytest.mark.parametrize(("keys", "head_dim"), [(1, 32), (17, 64), (45, 96), (130, 128)])
def test_bfloat16_keys_and_values_compute_in_float32(isa, rng, queries, keys, head_dim):
    q, k, v, scale = problem(rng, queries, keys, head_dim)
    num_keys = rng.integers(1, keys + 1, queries)
    owner = rng.integers(0, 3, keys).tolist()
    found = kernels.attention(isa, q, k, v, scale, num_keys, owner, 1, True)
    rounded = [to_bfloat16(x) for x in (k, v)]
    assert_same_bits(found, kernels.attention(isa, q, *rounded, scale, num_keys, owner))
    biases = normal(rng, 1, queries, keys)
    found = kernels.attention(isa, q, k, v, scale, num_keys, owner, 1, True, biases)
    expected = kernels.attention(isa, q, *rounded, scale, num_keys, owner, 1, False, biases)
    assert_same_bits(found, expected)


def test_one_key_is_its_value(isa, rng):
    q, k, v, scale = problem(rng, 3, 5, 40)
    found = kernels.attention(isa, q, k, v, scale, [1, 1, 1], [0] * 5)
    assert_same_bits(found, np.repeat(v[:1], 3, 0))


def test_far_scores_weigh_nothing(isa):
    """Scores 1e30 apart: the smaller key has weight 0, and nothing overflows."""
    q, k = np.array([[1e15]], np.float32), np.array([[1e15], [-1e15]], np.float32)
    found = kernels.attention(isa, q, k, np.array([[3.0], [7.0]], np.float32), 1.0, [2], [0, 0])
    assert found[0, 0] == 3.0
