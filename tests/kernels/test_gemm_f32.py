"""Matrix product: against float64 NumPy, and equal to the bit however it is cut into tiles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_helpers import EPS, assert_same_bits, assert_within, normal

from pyengine._core import available_isas, kernels

ACTIVATIONS = {
    "none": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))),
}
# Rows: every tile height of every instruction set, and both sides of the row block of 96.
ROWS = [*range(1, 27), 95, 96, 97, 193]
# depth, columns: 1, one off a vector (16), a panel (32) and a group of panels (128).
SHAPES = [
    (1, 1),
    (3, 15),
    (17, 16),
    (8, 17),
    (64, 31),
    (5, 33),
    (24, 95),
    (80, 128),
    (33, 129),
    (7, 200),
]


def fma_chain(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The definition: a chain of fused multiply-adds over depth, one float32 rounding each.

    float64 holds a product of two float32 exactly; the sum is rounded to odd so that the second
    rounding, to float32, is the only one that counts (Boldo and Melquiond 2008).
    """
    acc = np.zeros((len(x), weight.shape[1]), np.float32)
    for k in range(x.shape[1]):
        product = x[:, k, None].astype(np.float64) * weight[k].astype(np.float64)
        c = acc.astype(np.float64)
        total = product + c
        b = total - product
        error = (product - (total - b)) + (c - b)
        bits = total.view(np.int64)
        to_odd = (error != 0) & (bits & 1 == 0)
        bits += np.where(to_odd, np.where((error > 0) == (total > 0), 1, -1), 0)
        acc = total.astype(np.float32)
    return acc


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("depth", "columns"), SHAPES)
def test_close_to_float64(isa, rng, depth, columns, activation):
    for rows in (1, 2, 5, 13, 33):
        x, w, b = normal(rng, rows, depth), normal(rng, depth, columns), normal(rng, columns)
        residual = normal(rng, rows, columns)
        y = kernels.gemm_f32(isa, x, kernels.pack(w), b, activation, residual)
        before = x.astype(np.float64) @ w + b
        expected = ACTIVATIONS[activation](before) + residual
        # Each of the depth + 1 roundings is within EPS / 2 of the partial sums; activations have
        # slopes below 1.13 and errors of a few EPS of their own.
        norms = np.abs(x).astype(np.float64) @ np.abs(w) + np.abs(b)
        assert_within(y, expected, EPS * ((depth + 4) * norms + np.abs(residual) + 1))


@pytest.mark.parametrize(("depth", "columns"), SHAPES)
def test_is_the_defined_chain(isa, rng, depth, columns):
    x, w, b = normal(rng, 13, depth), normal(rng, depth, columns), normal(rng, columns)
    assert_same_bits(kernels.gemm_f32(isa, x, kernels.pack(w), b), fma_chain(x, w) + b)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_rows_do_not_see_each_other(isa, rng, activation):
    depth, columns = 40, 333
    x, w, b = normal(rng, max(ROWS), depth), normal(rng, depth, columns), normal(rng, columns)
    panels = kernels.pack(w)
    whole = kernels.gemm_f32(isa, x, panels, b, activation, x[:, :1] + np.zeros_like(b))
    for rows in ROWS:
        part = x[-rows:]
        alone = kernels.gemm_f32(isa, part, panels, b, activation, part[:, :1] + np.zeros_like(b))
        assert_same_bits(alone, whole[-rows:])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_column_splits_and_isas_agree(rng, activation):
    x, w, b = normal(rng, 19, 65), normal(rng, 65, 250), normal(rng, 250)
    panels = kernels.pack(w)
    whole = kernels.gemm_f32("scalar", x, panels, b, activation)
    for isa in available_isas():
        for first in range(0, 8):
            part = kernels.gemm_f32(isa, x, panels[first:], b[first * 32 :], activation)
            assert_same_bits(part, whole[:, first * 32 :])


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(0, 70), st.integers(1, 140), st.integers(0, 2**32 - 1))
def test_isas_agree_on_any_shape(rows, depth, columns, seed):
    rng = np.random.default_rng(seed)
    # From denormal to overflow, so that rounding, flushing and infinities must agree too.
    x = normal(rng, rows, depth) * np.float32(10.0) ** rng.integers(-22, 20, (rows, 1))
    w = normal(rng, depth, columns) * np.float32(10.0) ** rng.integers(-22, 20, columns)
    panels, bias = kernels.pack(w), np.zeros(columns, np.float32)
    expected = kernels.gemm_f32("scalar", x, panels, bias)
    for isa in available_isas():
        found = kernels.gemm_f32(isa, x, panels, bias)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        assert_same_bits(np.nan_to_num(found), np.nan_to_num(expected))


@pytest.mark.parametrize(("depth", "columns"), SHAPES)
def test_pack_layout(rng, depth, columns):
    w = normal(rng, depth, columns)
    padded = np.zeros((depth, -(-columns // 32) * 32), np.float32)
    padded[:, :columns] = w
    expected = padded.reshape(depth, -1, 32).transpose(1, 0, 2)
    for view in (w, np.asfortranarray(w), np.repeat(np.repeat(w, 2, 0), 3, 1)[::2, ::3]):
        assert_same_bits(kernels.pack(view), expected)


def test_activations_at_the_ends(isa):
    """Far from zero an activation is x or 0, and never NaN."""
    x = np.array([-1e30, -1000, -90, -88, 88, 90, 1000, 1e30, 0.0], np.float32)
    for name in ("silu", "gelu", "gelu_tanh"):
        y = kernels.gemm_f32(isa, np.ones((1, 1)), kernels.pack(x[None]), np.zeros_like(x), name)[0]
        assert np.all(y[:4] <= 0) and np.all(y[:4] > -1e-35)
        assert_same_bits(y[4:8], x[4:8])
        assert y[8] == 0
