"""bfloat16 weights: rounding, and a product that is the float32 one on the rounded weights."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_helpers import assert_same_bits, normal, to_bfloat16

from pyengine._core import kernels

SHAPES = [(1, 1), (3, 15), (17, 16), (64, 31), (5, 33), (80, 128), (33, 129), (7, 200)]


def test_pack(rng):
    w = np.concatenate([normal(rng, 30, 45), np.full((1, 45), 3.4e38, np.float32)])
    w.view(np.uint32)[:2] &= 0xFFFF0000
    w.view(np.uint32)[:2] |= 0x8000  # ties
    panels = kernels.pack_bf16(w)
    expected = kernels.pack(to_bfloat16(w)).view(np.uint32) >> 16
    np.testing.assert_array_equal(panels, expected.astype(np.uint16))


def test_pack_keeps_nan():
    bits = np.array([0x7F800001, 0xFFFFFFFF, 0x7FC00000, 0x7F800000], np.uint32)
    panels = kernels.pack_bf16(bits.view(np.float32)[None])
    widened = (panels.astype(np.uint32) << 16).view(np.float32)[0, 0, :4]
    np.testing.assert_array_equal(np.isnan(widened), [True, True, True, False])


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 13, 33, 97])
@pytest.mark.parametrize(("depth", "columns"), SHAPES)
def test_equals_float32_on_rounded_weights(isa, rng, rows, depth, columns):
    x, w, b = normal(rng, rows, depth), normal(rng, depth, columns), normal(rng, columns)
    residual = normal(rng, rows, columns)
    found = kernels.gemm_bf16(isa, x, kernels.pack_bf16(w), b, "gelu", residual)
    expected = kernels.gemm_f32("scalar", x, kernels.pack(to_bfloat16(w)), b, "gelu", residual)
    assert_same_bits(found, expected)
