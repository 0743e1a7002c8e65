"""Columns taken out of packed weights: what packing those columns alone gives, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_helpers import assert_same_bits, normal

from pyengine._core import kernels

COUNTS = [1, 3, 15, 16, 17, 31, 32, 33, 200]


def some_columns(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.sort(rng.choice(333, count, replace=False)).astype(np.int32)


@pytest.mark.parametrize("pack", [kernels.pack, kernels.pack_bf16])
@pytest.mark.parametrize("depth", [1, 3, 40, 65])
@pytest.mark.parametrize("count", COUNTS)
def test_gathering_is_packing_the_columns(rng, pack, depth, count):
    weight, columns = normal(rng, depth, 333), some_columns(rng, count)
    gathered = kernels.gather_columns(pack(weight), depth, columns)
    np.testing.assert_array_equal(gathered, pack(weight[:, columns]))


@pytest.mark.parametrize("depth", [1, 4, 33, 63, 64, 65, 130, 256])
@pytest.mark.parametrize("count", COUNTS)
def test_gathered_int8_is_the_product_with_the_columns(isa, rng, depth, count):
    weight, columns = normal(rng, depth, 333), some_columns(rng, count)
    bias, zero_points = normal(rng, count), rng.integers(-128, 128, 333).astype(np.int32)
    quantized = kernels.quantize(isa, normal(rng, 5, depth))
    panels, scales, _, sums = kernels.pack_s8(weight)
    packed = panels, scales, zero_points, sums
    found = kernels.gathered_s8(isa, depth, quantized, packed, columns, bias)
    panels, scales, _, sums = kernels.pack_s8(weight[:, columns])
    selected = panels, scales, zero_points[columns], sums
    assert_same_bits(found, kernels.gemm_s8(isa, depth, quantized, selected, bias))


@pytest.mark.parametrize("sign", [1, -1])
def test_nothing_saturates(isa, sign):
    """All +-127 over a depth of 8,192: pairs reach 32,258, sums 132 million."""
    x, weight = np.ones((2, 8192), np.float32), np.full((8192, 40), sign, np.float32)
    rows, bias = np.arange(40, dtype=np.int32), np.zeros(40, np.float32)
    found = kernels.gathered_s8(
        isa, 8192, kernels.quantize(isa, x), kernels.pack_s8(weight), rows, bias
    )
    assert found == pytest.approx(8192 * sign)
