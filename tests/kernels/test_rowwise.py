"""Layer norm, embeddings and the reductions of logits, on lengths around the vector of 16."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_helpers import EPS, assert_same_bits, assert_within, normal

from pyengine._core import available_isas, kernels

SIZES = [1, 2, 15, 16, 17, 31, 33, 64, 100, 512, 1000]
INF = np.float32(np.inf)


@pytest.mark.parametrize("size", SIZES)
def test_layer_norm(isa, rng, size):
    x, gamma, beta = normal(rng, 5, size) * 3 + 1, normal(rng, size), normal(rng, size)
    found = kernels.layer_norm(isa, x, gamma, beta, 1e-5)
    d = x.astype(np.float64) - x.mean(1, dtype=np.float64, keepdims=True)
    inverse = 1 / np.sqrt((d**2).mean(1, keepdims=True) + 1e-5)
    # The mean is off by a few EPS of |x|, scaled like everything else.
    scale = (np.abs(x).max(1, keepdims=True) * inverse + np.abs(d * inverse)) * np.abs(gamma)
    assert_within(found, d * inverse * gamma + beta, EPS * (4 * scale + np.abs(beta) + 1e-30) * 2)
    for row in range(5):
        assert_same_bits(
            kernels.layer_norm(isa, x[row : row + 1], gamma, beta, 1e-5)[0], found[row]
        )
    assert_same_bits(found, kernels.layer_norm("scalar", x, gamma, beta, 1e-5))


def test_layer_norm_of_equal_entries_is_beta(isa, rng):
    beta = normal(rng, 48)
    x = np.full((1, 48), 3.0, np.float32)
    assert_same_bits(kernels.layer_norm(isa, x, normal(rng, 48), beta, 1e-5)[0], beta)


@pytest.mark.parametrize("size", SIZES)
def test_rms_norm(isa, rng, size):
    x, gamma = normal(rng, 5, size) * 3 + 1, normal(rng, size)
    found = kernels.rms_norm(isa, x, gamma, 1e-6)
    wide = x.astype(np.float64)
    expected = wide / np.sqrt((wide**2).mean(1, keepdims=True) + 1e-6) * gamma
    assert_within(found, expected, EPS * (8 + size / 16) * np.abs(expected))
    for row in range(5):
        assert_same_bits(kernels.rms_norm(isa, x[row : row + 1], gamma, 1e-6)[0], found[row])
    assert_same_bits(found, kernels.rms_norm("scalar", x, gamma, 1e-6))


def test_rms_norm_of_nothing_is_nothing(isa, rng):
    assert not kernels.rms_norm(isa, np.zeros((1, 40)), normal(rng, 40), 1e-6).any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "gelu_tanh"])
def test_gate_is_the_product_of_activation_and_value(isa, rng, size, activation):
    rows = normal(rng, 3, 2 * size) * 3
    found = kernels.gate(isa, rows, activation)
    gate, value = np.ascontiguousarray(rows[:, :size]), rows[:, size:]
    identity = kernels.pack(np.eye(size, dtype=np.float32))
    opened = kernels.gemm_f32(isa, gate, identity, np.zeros(size), activation)
    assert_same_bits(found, opened * value)
    assert_same_bits(found, kernels.gate("scalar", rows, activation))


@pytest.mark.parametrize("size", SIZES)
def test_embed_rounds_twice(isa, rng, size):
    token, position = normal(rng, size), normal(rng, size)
    scale = np.float32(22.627417)
    assert_same_bits(kernels.embed(isa, token, scale, position), token * scale + position)


@pytest.mark.parametrize("size", SIZES)
def test_ssru(isa, rng, size):
    value, gate, state, hidden = (normal(rng, size) * 4 for _ in range(4))
    next_state, next_hidden = kernels.ssru(isa, value, gate, state, hidden)
    g = 1 / (1 + np.exp(-gate.astype(np.float64)))
    expected = g * state + (1 - g) * value
    magnitude = np.abs(g * state) + np.abs(value)
    assert_within(next_state, expected, EPS * 8 * magnitude)
    added = np.maximum(next_state, 0)
    assert_same_bits(next_hidden, hidden + added)
    scalar_state, scalar_hidden = kernels.ssru("scalar", value, gate, state, hidden)
    assert_same_bits(next_state, scalar_state)
    assert_same_bits(next_hidden, scalar_hidden)


def test_ssru_gates_that_are_open_or_shut(isa):
    gate = np.array([200.0, -200.0, 88.0, -88.0] * 9)
    state, hidden = kernels.ssru(isa, np.full(36, 3.0), gate, np.full(36, -2.0), np.zeros(36))
    np.testing.assert_allclose(state, [-2.0, 3.0] * 18, rtol=1e-6)
    np.testing.assert_allclose(hidden, [0.0, 3.0] * 18, rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("banned", [0.0, 0.5])
def test_max_sum_exp(isa, rng, size, banned):
    x = normal(rng, size) * 5
    x[rng.random(size) < banned] = -INF
    found_max, found_sum = kernels.max_sum_exp(isa, x)
    assert found_max == x.max()
    if found_max > -INF:
        expected = np.exp(x.astype(np.float64) - x.max()).sum()
        # x - max rounds: an error of EPS / 2 times up to 40.
        assert_within(found_sum, expected, expected * EPS * (size / 16 + 24))
    assert (found_max, found_sum) == kernels.max_sum_exp("scalar", x)


def test_max_sum_exp_of_nothing(isa):
    assert kernels.max_sum_exp(isa, np.full(37, -INF)) == (-INF, 0.0)
    assert kernels.max_sum_exp(isa, np.array([-INF] * 20 + [-3.0])) == (-3.0, 1.0)


@pytest.mark.parametrize("runs", SIZES)
def test_log_sum_exp(isa, rng, runs):
    maxes, sums = normal(rng, runs) * 4, 1 + rng.random(runs, dtype=np.float32) * 31
    maxes[runs // 2 :: 3], sums[runs // 2 :: 3] = -INF, 0
    found = kernels.log_sum_exp(isa, maxes, sums)
    top = maxes.max()
    if top > -INF:
        expected = np.log((sums * np.exp(maxes.astype(np.float64) - top)).sum()) + top
        assert_within(found, expected, EPS * (16 + 2 * abs(expected)))
    else:
        assert found == -INF
    for other in available_isas():
        assert_same_bits(np.float32(kernels.log_sum_exp(other, maxes, sums)), np.float32(found))


@pytest.mark.parametrize(("num_heads", "head_dim"), [(1, 2), (3, 24), (2, 32), (5, 70)])
def test_rotate(isa, rng, num_heads, head_dim):
    angles = rng.uniform(0, 2 * np.pi, head_dim // 2)
    table = np.concatenate([np.cos(angles), np.sin(angles)]).astype(np.float32)
    heads = rng.standard_normal((num_heads, head_dim)).astype(np.float32)
    found = kernels.rotate(isa, table, heads)
    pairs = heads[:, : head_dim // 2] + 1j * heads[:, head_dim // 2 :]
    turned = pairs * np.exp(1j * angles)
    np.testing.assert_allclose(found, np.hstack([turned.real, turned.imag]), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found, kernels.rotate("scalar", table, heads))


@pytest.mark.parametrize("size", SIZES)
def test_exp_shifted(isa, rng, size):
    x = normal(rng, size) * 8
    x[rng.random(size) < 0.2] = -INF
    found = kernels.exp_shifted(isa, x, 3.5)
    expected = np.exp((x - np.float32(3.5)).astype(np.float64))
    assert_within(found, expected, 1.5 * EPS * expected)
    assert_same_bits(found, kernels.exp_shifted("scalar", x, 3.5))


def test_exp_shifted_at_its_ends(isa):
    x = np.array([-INF, -90.0, -86.0, 0.0], np.float32)
    found = kernels.exp_shifted(isa, x, 0.0)
    assert found.tolist()[:2] == [0.0, 0.0]
    assert found[2] > 0
    assert found[3] == 1.0
