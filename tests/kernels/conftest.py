"""Every test with an argument `isa` runs once for each instruction set that this CPU has."""

from __future__ import annotations

import numpy as np
import pytest

from pyengine import _core


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "isa" in metafunc.fixturenames:
        metafunc.parametrize("isa", _core.available_isas())


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)
