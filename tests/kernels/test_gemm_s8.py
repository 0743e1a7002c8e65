"""int8: quantisation, packing and the product, against NumPy and equal to the bit on every ISA."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_helpers import assert_same_bits, normal

from pyengine._core import available_isas, kernels

INF, NAN = np.float32(np.inf), np.float32(np.nan)
# Rows: every tile height of every instruction set, and both sides of the row block of 96.
ROWS = [*range(1, 34), 95, 96, 97, 193]
# depth, columns: around a group (4), a vector (16), a panel (32), a group of panels (128).
SHAPES = [
    (1, 1),
    (3, 15),
    (4, 16),
    (5, 17),
    (63, 31),
    (64, 32),
    (65, 33),
    (130, 95),
    (7, 200),
    (256, 129),
]


def scaled(x: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """x times powers of ten, as float32."""
    return (x * 10.0**exponents).astype(np.float32)


def quantized(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric int8 of each row: integers [rows, depth] and scales [rows]."""
    largest = np.abs(x).max(1, initial=0)
    with np.errstate(all="ignore"):
        inverse = np.where(largest >= np.float32(1e-30), np.float32(127) / largest, 0)
        scales = np.where(largest >= np.float32(1e-30), largest / np.float32(127), 0)
        product = x.astype(np.float64) * inverse.astype(np.float32)[:, None].astype(np.float64)
    finite = np.isfinite(x).all(1)
    integers = np.rint(np.where(finite[:, None], product, 0)).astype(np.int32)
    return integers, np.where(finite, scales, NAN).astype(np.float32)


def fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a * b + c in float32, rounded once: to odd in float64 first (see test_gemm_f32)."""
    product = a.astype(np.float64) * b.astype(np.float64)
    c = c.astype(np.float64)
    total = product + c
    b = total - product
    error = (product - (total - b)) + (c - b)
    bits = total.view(np.int64)
    to_odd = (error != 0) & (bits & 1 == 0)
    bits += np.where(to_odd, np.where((error > 0) == (total > 0), 1, -1), 0)
    return total.astype(np.float32)


def product(x: np.ndarray, w: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The definition of gemm_s8 on what quantize and pack_s8 make of x and w."""
    x8, x_scales = quantized(x)
    w8, w_scales = quantized(w.T)
    sums = (x8.astype(np.int64) @ w8.T.astype(np.int64)).astype(np.float32)
    return fma(sums, x_scales[:, None] * w_scales, np.broadcast_to(bias, sums.shape))


def gemm_s8(isa, x, w, bias, activation="none", residual=None):
    return kernels.gemm_s8(
        isa, x.shape[1], kernels.quantize(isa, x), kernels.pack_s8(w), bias, activation, residual
    )


@pytest.mark.parametrize("depth", [1, 15, 16, 17, 63, 64, 65, 200, 512])
def test_quantize(isa, rng, depth):
    x = scaled(normal(rng, 9, depth), rng.integers(-28, 36, (9, 1)))
    x[3] = 0
    x[4] = 9e-31
    x[5] = 1e-40
    assert_same_bits(kernels.quantize(isa, x)[1], quantized(x)[1])
    # The integers have a form of their own on each ISA; a product with the identity shows them.
    identity, no_bias = np.eye(depth, dtype=np.float32), np.zeros(depth, np.float32)
    assert_same_bits(gemm_s8(isa, x, identity, no_bias), product(x, identity, no_bias))


@pytest.mark.parametrize("bad", [INF, -INF, NAN])
@pytest.mark.parametrize("at", [0, 18, 39])
def test_a_row_that_is_not_finite_stays_so(isa, rng, bad, at):
    x, w = normal(rng, 3, 40), normal(rng, 40, 33)
    x[1, at] = bad
    assert np.isnan(kernels.quantize(isa, x)[1][1])
    y = gemm_s8(isa, x, w, np.zeros(33, np.float32))
    assert np.isnan(y[1]).all() and np.isfinite(y[[0, 2]]).all()


@pytest.mark.parametrize(("depth", "columns"), SHAPES)
def test_pack(rng, depth, columns):
    w = scaled(normal(rng, depth, columns), rng.integers(-20, 20, columns))
    w[:, columns // 2] = 0
    w8, w_scales = quantized(w.T)
    padded = np.zeros((-(-columns // 32) * 32, -(-depth // 4) * 4), np.int8)
    padded[:columns, :depth] = w8
    expected = padded.reshape(-1, 32, padded.shape[1] // 4, 4).transpose(0, 2, 1, 3)
    for view in (w, np.asfortranarray(w), np.repeat(np.repeat(w, 2, 0), 3, 1)[::2, ::3]):
        panels, scales, zero_points, sums = kernels.pack_s8(view)
        assert not zero_points.any()
        np.testing.assert_array_equal(panels, expected)
        assert_same_bits(scales, w_scales)
        np.testing.assert_array_equal(sums, w8.sum(1))


@pytest.mark.parametrize(("depth", "columns"), SHAPES)
def test_arrange_is_pack_of_integers(rng, depth, columns):
    w = rng.integers(-127, 128, (depth, columns)).astype(np.int8)
    w[0] = 127  # so that the scale of each column is 1
    panels, scales, _, sums = kernels.pack_s8(w.astype(np.float32))
    assert set(scales) == {1.0}
    for view in (w, np.asfortranarray(w)):
        arranged, arranged_sums = kernels.arrange_s8(view)
        np.testing.assert_array_equal(arranged, panels)
        np.testing.assert_array_equal(arranged_sums, sums)


@pytest.mark.parametrize(("depth", "columns"), SHAPES)
def test_is_the_defined_product(isa, rng, depth, columns):
    x, w, b = normal(rng, 13, depth), normal(rng, depth, columns), normal(rng, columns)
    assert_same_bits(gemm_s8(isa, x, w, b), product(x, w, b))


@pytest.mark.parametrize(("depth", "columns"), SHAPES)
def test_zero_points_are_exact(isa, rng, depth, columns):
    """uint8 weights less 128 and their zero points: differences from -255 to 255."""
    x, bias = normal(rng, 13, depth), normal(rng, columns)
    w = rng.integers(-128, 128, (depth, columns)).astype(np.int8)
    w[0], w[-1] = -128, 127
    zero_points = rng.integers(-128, 128, columns).astype(np.int32)
    zero_points[0], zero_points[-1] = -128, 127
    scales = np.abs(normal(rng, columns)) / np.float32(100)
    panels, sums = kernels.arrange_s8(w)
    quantized_x = kernels.quantize(isa, x)
    found = kernels.gemm_s8(isa, depth, quantized_x, (panels, scales, zero_points, sums), bias)
    x8, x_scales = quantized(x)
    np.testing.assert_array_equal(quantized_x[2], x8.sum(1))
    sums = (x8.astype(np.int64) @ (w.astype(np.int64) - zero_points)).astype(np.float32)
    bias = np.broadcast_to(bias, sums.shape)
    assert_same_bits(found, fma(sums, x_scales[:, None] * scales, bias))


def test_epilogue(isa, rng):
    x, w, b = normal(rng, 5, 70), normal(rng, 70, 45), normal(rng, 45)
    residual = normal(rng, 5, 45)
    y = product(x, w, b)
    assert_same_bits(gemm_s8(isa, x, w, b, "relu"), np.maximum(y, 0))
    assert_same_bits(gemm_s8(isa, x, w, b, "none", residual), y + residual)


@pytest.mark.parametrize("activation", ["none", "gelu"])
def test_rows_do_not_see_each_other(isa, rng, activation):
    depth, columns = 72, 333
    x, w, b = normal(rng, max(ROWS), depth), normal(rng, depth, columns), normal(rng, columns)
    whole = gemm_s8(isa, x, w, b, activation, x[:, :1] + np.zeros_like(b))
    for rows in ROWS:
        part = x[-rows:]
        alone = gemm_s8(isa, part, w, b, activation, part[:, :1] + np.zeros_like(b))
        assert_same_bits(alone, whole[-rows:])


@pytest.mark.parametrize("signs", ["equal", "opposite", "alternating"])
@pytest.mark.parametrize("rows", [1, 3, 12])
def test_nothing_saturates(isa, signs, rows):
    """All +-127 over a depth of 8,192: pairs reach 32,258, sums 132 million."""
    depth, columns = 8192, 40
    x, w = np.ones((rows, depth), np.float32), np.ones((depth, columns), np.float32)
    if signs == "opposite":
        w = -w
    if signs == "alternating":
        x[:, 1::2] = -1
        w[::2] = -1
    y = gemm_s8(isa, x, w, np.zeros(columns, np.float32))
    assert_same_bits(y, product(x, w, np.zeros(columns, np.float32)))
    assert abs(y[0, 0]) == pytest.approx(depth)


@settings(max_examples=60)
@given(st.integers(1, 40), st.integers(1, 150), st.integers(1, 140), st.integers(0, 2**32 - 1))
def test_isas_agree_on_any_shape(rows, depth, columns, seed):
    rng = np.random.default_rng(seed)
    x = scaled(normal(rng, rows, depth), rng.integers(-35, 38, (rows, 1)))
    w = scaled(normal(rng, depth, columns), rng.integers(-22, 20, columns))
    bias = normal(rng, columns)
    expected = gemm_s8("scalar", x, w, bias, "silu")
    for isa in available_isas():
        found = gemm_s8(isa, x, w, bias, "silu")
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        assert_same_bits(np.nan_to_num(found), np.nan_to_num(expected))
