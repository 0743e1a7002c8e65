"""Columns taken out of packed weights: what packing those columns alone gives."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_helpers import normal

from pyengine._core import kernels

PACKERS = {
    "float32": kernels.pack,
    "bfloat16": kernels.pack_bf16,
    "int8": lambda weight: kernels.pack_s8(weight)[0],
}


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS.keys())
@pytest.mark.parametrize("depth", [1, 3, 40, 65])
@pytest.mark.parametrize("count", [1, 31, 32, 33, 200])
def test_gathering_is_packing_the_columns(rng, pack, depth, count):
    weight = normal(rng, depth, 333)
    columns = np.sort(rng.choice(333, count, replace=False)).astype(np.int32)
    gathered = kernels.gather_columns(pack(weight), depth, columns)
    np.testing.assert_array_equal(gathered, pack(weight[:, columns]))
