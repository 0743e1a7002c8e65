"""exp, erf and log through the kernels that use them: the errors that math-inl.h promises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pyengine._core import available_isas, kernels

EXPECTED = {
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))),
    "tanh": np.tanh,
}


def activation(isa: str, name: str, x: np.ndarray) -> np.ndarray:
    """name(x) [n], through a product with depth 1."""
    one = np.ones((1, 1), np.float32)
    return kernels.gemm_f32(isa, one, kernels.pack(x[None]), np.zeros_like(x), name)[0]


def ulps(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Error in units of the last place of the float32 nearest to `expected`."""
    return np.abs(found - expected) / np.spacing(np.abs(expected).astype(np.float32))


# silu where exp(-x) >> 1 shows the error of exp itself, plus two roundings.
@pytest.mark.parametrize(
    ("name", "low", "high", "bound"),
    [
        ("silu", -86, -20, 2.1),
        ("silu", -20, 80, 2.6),
        ("gelu", -0.5, 30, 3.1),
        ("gelu_tanh", -0.5, 30, 3.1),
        ("tanh", -12, 12, 1.6),
        ("tanh", -0.6, 0.6, 1.6),
    ],
)
def test_activation_error(isa, rng, name, low, high, bound):
    x = rng.uniform(low, high, 200_000).astype(np.float32)
    worst = np.max(ulps(activation(isa, name, x), EXPECTED[name](x.astype(np.float64))))
    assert worst < bound


@pytest.mark.parametrize("name", EXPECTED)
def test_same_bits_on_every_isa(rng, name):
    x = rng.integers(0, 2**32, 300_000, dtype=np.uint32).view(np.float32)
    x = x[np.isfinite(x)]
    expected = activation("scalar", name, x).view(np.int32)
    for isa in available_isas():
        np.testing.assert_array_equal(activation(isa, name, x).view(np.int32), expected)


def test_log(isa, rng):
    x = np.exp(rng.uniform(-80, 80, 2000)).astype(np.float32)
    found = np.array([kernels.log_sum_exp(isa, [0.0], [v]) for v in x])
    assert np.max(ulps(found, np.log(x.astype(np.float64)))) < 1.2
    assert kernels.log_sum_exp(isa, [0.0], [1.0]) == 0.0
